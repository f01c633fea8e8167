"""A demo catalogue that reads like a real one: invented providers and activities, the same for the same seed.

`content` reads the texts in content/*.toml, `catalogue` decides who offers what where, `details` fills in one activity,
and the command `seed_demo` writes it all to the database.
"""
