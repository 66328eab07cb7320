//! The parser against what people paste and what attackers write.
