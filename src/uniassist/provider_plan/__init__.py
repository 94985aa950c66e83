"""The `plan` specialist: asks for what a plan needs, makes it, keeps it, changes it (decisions 19 and 20).

What it says is a function of the request and of the person's shelf (`answers`); `keeper` reads and writes that
shelf in Postgres, where there is one, each call once.
"""
