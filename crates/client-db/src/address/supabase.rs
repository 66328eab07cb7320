//! What an address says by its looks of the Supabase project behind it.

use super::{DatabaseAddress, escaped};

/// The port of poolers that share connections by transaction.
pub(crate) const TRANSACTION_PORT: u16 = 6543;
/// The port of the pooler that does not.
pub(crate) const SESSION_PORT: u16 = 5432;

/// How an address leads to a Supabase project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupabaseDoor {
    /// The project's own server, which has an IPv6 address only, without an add-on.
    Direct,
    /// The project's own PgBouncer, beside its server and so on IPv6 only as well.
    DedicatedPooler,
    /// The region's pooler, one server connection for each of ours.
    SessionPooler,
    /// The region's pooler, sharing server connections by transaction.
    TransactionPooler,
}

/// A Supabase project as an address names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupabasePlace<'a> {
    /// Which way the address leads.
    pub door: SupabaseDoor,
    /// The project's reference: in the host of a direct address, in the user of a pooler's. Absent
    /// where somebody left it out.
    pub project: Option<&'a str>,
    /// The region, which only a pooler's host names.
    pub region: Option<&'a str>,
}

impl SupabaseDoor {
    /// Whether it is the region's pooler, which learns the project from the user's name.
    #[must_use]
    pub fn is_shared_pooler(self) -> bool {
        matches!(self, Self::SessionPooler | Self::TransactionPooler)
    }
}

impl DatabaseAddress {
    /// The Supabase project that this address leads to; `None` where it is somebody else's.
    #[must_use]
    pub fn supabase(&self) -> Option<SupabasePlace<'_>> {
        let transaction = self.port == TRANSACTION_PORT;
        let host = self.host.trim_end_matches('.');
        if let Some(project) = host
            .strip_prefix("db.")
            .and_then(|it| it.strip_suffix(".supabase.co"))
        {
            return Some(SupabasePlace {
                door: if transaction {
                    SupabaseDoor::DedicatedPooler
                } else {
                    SupabaseDoor::Direct
                },
                project: is_reference(project).then_some(project),
                region: None,
            });
        }
        let pooler = host.strip_suffix(".pooler.supabase.com")?;
        let project = self.user.rsplit_once('.').map(|(_, project)| project);
        Some(SupabasePlace {
            door: if transaction {
                SupabaseDoor::TransactionPooler
            } else {
                SupabaseDoor::SessionPooler
            },
            project: project.filter(|it| is_reference(it)),
            region: region(pooler),
        })
    }

    /// The address of the same project's pooler on `port`, with what has to be filled in as a
    /// console would leave it: the password, and the region where it is not known. `None` where the
    /// address is not Supabase's.
    pub(crate) fn supabase_pooler(&self, port: u16) -> Option<String> {
        let place = self.supabase()?;
        let host = if place.door.is_shared_pooler() {
            self.host.as_str()
        } else {
            "aws-0-REGION.pooler.supabase.com"
        };
        Some(format!(
            "postgresql://{}.{}:[YOUR-PASSWORD]@{host}:{port}/{}",
            escaped(self.role()),
            place.project.unwrap_or("PROJECT-REF"),
            escaped(&self.database),
        ))
    }

    /// The role's name in the database: a Supabase pooler's user carries the project behind it.
    #[must_use]
    pub fn role(&self) -> &str {
        match self.supabase() {
            Some(place) if place.door.is_shared_pooler() => match place.project {
                Some(_) => self.user.rsplit_once('.').map_or(&*self.user, |it| it.0),
                None => &self.user,
            },
            _ => &self.user,
        }
    }

    /// Whether it is by its looks the address of a pooler, such as Supabase's.
    pub(crate) fn names_a_pooler(&self) -> bool {
        self.port == TRANSACTION_PORT
            || self.supabase().is_some_and(|it| it.door.is_shared_pooler())
    }
}

/// Whether it may be a project's reference: twenty small letters today.
fn is_reference(text: &str) -> bool {
    (8..=40).contains(&text.len())
        && text
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
}

/// The region in `aws-0-eu-central-1`.
fn region(pooler: &str) -> Option<&str> {
    let (_cloud, rest) = pooler.split_once('-')?;
    let (number, region) = rest.split_once('-')?;
    let is_numbered = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    (is_numbered && !region.is_empty()).then_some(region)
}
