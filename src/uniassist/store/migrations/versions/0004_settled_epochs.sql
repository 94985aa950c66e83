-- The Redis epoch that the shard's rows agree with, and since when: nothing published before it confirms them any
-- more. The highest of all shards is the last epoch that anyone settled in; Redis may not go back behind it.
ALTER TABLE delivery_shards
    ADD COLUMN epoch      text COLLATE "C",  -- sorts by age; null: not settled since this column is there
    ADD COLUMN settled_at timestamptz;
