"""Reading, changing and writing the flatbuffer that a TFLite file is."""
