"""What methods share: the contract, networks, finders and heads."""
