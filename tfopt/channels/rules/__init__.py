"""How units pass the operations of Keras: one rule an operation."""
