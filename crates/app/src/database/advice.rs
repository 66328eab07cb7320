//! What is wrong with a client's database, in a sentence for whoever can mend it. Made of our own
//! codes: what the database says itself may hold names and addresses.

/// What a code means and what to do about it.
#[must_use]
pub fn advice(code: &str) -> &'static str {
    match code {
        "name_not_resolved" | "address_invalid" => {
            "The host's name is not known to the name servers. Look whether the database still exists and is not paused, or connect its present address with PUT /api/client/v1/database."
        }
        "address_forbidden" => {
            "The host's name leads to an address that is not allowed here. Use one that is reachable from the internet, or have the operator allow it."
        }
        "connection_refused" | "connection_timeout" | "host_unreachable" => {
            "Nothing answers at the database's address. Look whether the server runs, and whether a firewall or network restriction keeps this platform out."
        }
        "database_tls" => {
            "The server's certificate was not accepted. Renew it, or connect again with the right CA."
        }
        "database_sign_in" => {
            "The database refuses the sign-in. Let the role log in and connect again, or give its present password with PUT /api/client/v1/database."
        }
        "database_timeout" => {
            "The database takes connections and does not answer in time. Look at its load and at locks that are held for long."
        }
        "database_connection_lost" | "database_protocol" | "database_answer_too_large" => {
            "Connections to the database break off. Look at its log, and at what stands between it and this platform."
        }
        "database_statement" => {
            "The role may not do its work: rights or tables were taken away, the database is read-only, or it is out of space or connections. Give the role its rights on the schema “stoa” back, and look at the server's log."
        }
        "database_mismatch" => {
            "The database belongs to another instance. Connect this instance's own with PUT /api/client/v1/database."
        }
        "database_vanished" => {
            "This instance's tables are gone from the database. Restore them from a backup, or connect a database anew with PUT /api/client/v1/database."
        }
        "database_migration_failed" | "database_foreign_migration" => {
            "The database's schema cannot be brought up to date. Nothing of it was changed; the operator's log says which step failed."
        }
        _ => "The database cannot be used right now. It is tried again by itself.",
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn every_sentence_says_what_to_do() {
        for code in [
            "database_sign_in",
            "connection_refused",
            "database_vanished",
        ] {
            assert_ne!(advice(code), advice("what nobody knows"));
        }
    }
}
