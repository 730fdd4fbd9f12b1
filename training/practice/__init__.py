"""Drawn pictures to practise on: fruit to classify and to find, people who never were, and a clip of one of them."""
