"""The only home of SQL: named queries, migrations, one module per table family."""
