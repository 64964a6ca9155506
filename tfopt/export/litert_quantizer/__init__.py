"""Google's litert-quantizer: its recipe, the call, and the tables that it leaves in float."""
