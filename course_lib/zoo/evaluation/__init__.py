"""How good the course models are, measured by letting them generate and by their likelihoods."""
