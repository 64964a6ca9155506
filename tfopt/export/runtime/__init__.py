"""Running a TFLite file, and the proof that it does what its model does."""
