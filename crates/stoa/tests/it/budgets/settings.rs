//! Setting budgets, and what is shown of them.
