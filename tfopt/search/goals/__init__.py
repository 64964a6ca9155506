"""What a search is after: objectives and constraints, and which of its trials meet them best."""
