"""What people see: interactions as text, menus, pieces that fit. Pure."""
