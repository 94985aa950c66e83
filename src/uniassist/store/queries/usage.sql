-- Who has used how much; only of those who use a lot, see gateway/bounds.

-- name: add
INSERT INTO usage_windows AS u (who, what, began_at, amount) VALUES (:who, :what, :window::timestamptz, :amount)
ON CONFLICT (who, what) DO UPDATE SET
    -- a gateway whose clock is behind tells of a window that is over for the others: it counts in theirs; but none
    -- that is still to come, of a clock that was set back since
    began_at = CASE WHEN u.began_at > now() + interval '5 minutes' THEN EXCLUDED.began_at
                    ELSE greatest(u.began_at, EXCLUDED.began_at) END,
    amount = CASE WHEN u.began_at < EXCLUDED.began_at OR u.began_at > now() + interval '5 minutes' THEN 0
                  ELSE u.amount END + EXCLUDED.amount
RETURNING amount;

-- name: prune
WITH pruned AS (
    DELETE FROM usage_windows WHERE (who, what) IN
        (SELECT who, what FROM usage_windows WHERE began_at < now() - interval '2 days' ORDER BY began_at LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM pruned;
