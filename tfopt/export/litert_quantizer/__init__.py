"""Google's litert-quantizer: which integers it is asked for, and what it leaves in float."""
