//! What goes wrong between an address and a Supabase project, and what to do about it. The words of
//! its pooler are those of Supavisor's source, old and new.

use crate::{
    address::{DatabaseAddress, SESSION_PORT, SupabaseDoor, TRANSACTION_PORT},
    condition::is_unknown_to_the_pooler,
    error::{ServerError, TlsFault},
};

/// What was found, and what to do about it.
pub(super) type Advice = (String, String);

/// The host's name has no address. `None` where it is not Supabase's.
pub(super) fn unresolved(address: &DatabaseAddress) -> Option<String> {
    let place = address.supabase()?;
    if place.door.is_shared_pooler() {
        return Some(format!(
            "Supabase has no pooler of this name: its poolers are called \
             aws-0-REGION.pooler.supabase.com or aws-1-REGION.pooler.supabase.com, as in \
             {}. The project's “Connect” page shows which is yours.",
            "aws-0-eu-central-1.pooler.supabase.com"
        ));
    }
    Some(format!(
        "{} If the project is paused, its name is gone until you restore it in Supabase's \
         dashboard.",
        use_the_pooler(address)
    ))
}

/// The host has an address, and nothing answers there. `None` where it is not a project's own.
pub(super) fn unreachable(address: &DatabaseAddress) -> Option<String> {
    let place = address.supabase()?;
    if place.door.is_shared_pooler() {
        return Some(
            "The pooler does not answer: look at status.supabase.com, and at whether a firewall \
             keeps this platform from connecting to it."
                .into(),
        );
    }
    Some(format!(
        "{} If it still does not answer, restore the project if it is paused, and look at its \
         network restrictions (Database → Settings).",
        use_the_pooler(address)
    ))
}

/// TLS was not agreed upon. `None` where it is not Supabase's, or nothing is particular about it.
pub(super) fn tls(fault: TlsFault, address: &DatabaseAddress) -> Option<String> {
    address.supabase()?;
    if fault != TlsFault::UnknownAuthority {
        return None;
    }
    let download = "In Supabase's dashboard open Database → Settings → SSL Configuration, download \
                    the certificate (prod-ca-2021.crt)";
    Some(if address.certificate_authority().is_some() {
        format!(
            "The ca_certificate that was given did not sign this server's certificate. {download} \
             again and give its text as ca_certificate."
        )
    } else {
        format!(
            "Supabase signs with a certificate authority of its own. {download}, and give its text \
             as ca_certificate beside the address (--database-ca FILE on the command line)."
        )
    })
}

/// The sign-in was refused in one of Supabase's ways. `None` where it was not.
pub(super) fn refused(said: &ServerError, address: &DatabaseAddress) -> Option<Advice> {
    let place = address.supabase()?;
    let message = said.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|it| message.contains(it));
    if place.door.is_shared_pooler()
        && place.project.is_none()
        && (is_unknown_to_the_pooler(said, address)
            || says(&["(enoidentifier)", "tenant identifier"]))
    {
        return Some(without_project(address));
    }
    if is_unknown_to_the_pooler(said, address) {
        return Some(unknown_project(address));
    }
    if says(&[
        "circuit breaker",
        "(ecircuitbreaker)",
        "too many authentication",
    ]) {
        return Some(blocked_for_a_while(&message));
    }
    if says(&[
        "max clients reached",
        "max client connections",
        "maxclientsinsessionmode",
    ]) {
        return Some(pooler_is_full(address));
    }
    if says(&["(essl", "ssl connection is required"]) {
        return Some((
            "the project lets nobody in without TLS".into(),
            "Leave sslmode out of the address, or say verify-full.".into(),
        ));
    }
    if says(&["allow_list", "allow list"]) {
        return Some((
            "the project's network restrictions keep this platform out".into(),
            "Add the platform's addresses under Database → Settings → Network restrictions; the \
             operator of this platform knows them."
                .into(),
        ));
    }
    if says(&["(eauthquery)"]) {
        return Some((
            format!("the pooler does not find the role {}", address.role()),
            "Make the role with the SQL below, then write it in front of the project's reference: \
             ROLE.PROJECT-REF."
                .into(),
        ));
    }
    None
}

fn use_the_pooler(address: &DatabaseAddress) -> String {
    let string = address.supabase_pooler(SESSION_PORT).unwrap_or_default();
    format!(
        "Supabase's own host has an IPv6 address only, unless the project has the IPv4 add-on. Use \
         the session pooler: {string} with your project's region in place of REGION, as the \
         “Connect” page shows it under “Session pooler” (there it may begin with aws-1 instead of \
         aws-0)."
    )
}

fn without_project(address: &DatabaseAddress) -> Advice {
    let string = address.supabase_pooler(address.port()).unwrap_or_default();
    (
        "the pooler cannot tell which project is meant: the user's name does not say it".into(),
        format!(
            "Put the project's reference behind the user, with a dot between: {string}. The \
             reference is the first part of the project's address, https://PROJECT-REF.supabase.co."
        ),
    )
}

fn unknown_project(address: &DatabaseAddress) -> Advice {
    let place = address.supabase();
    let project = place
        .as_ref()
        .and_then(|it| it.project)
        .unwrap_or("of this name");
    let region = place
        .as_ref()
        .and_then(|it| it.region)
        .unwrap_or("this region");
    (
        format!("Supabase's pooler in {region} does not know the project {project}"),
        format!(
            "One of three things: the project is paused (restore it in Supabase's dashboard, then \
             wait a few minutes); it is in another region than {region}, or its pooler begins with \
             aws-1 instead of aws-0 (copy “Session pooler” from its “Connect” page); or {project} \
             is misspelt."
        ),
    )
}

fn blocked_for_a_while(message: &str) -> Advice {
    if message.contains("authentication") {
        return (
            "the pooler has blocked sign-ins to this project for a while, after too many wrong \
             passwords"
                .into(),
            "Correct the password wherever an old one is still in use, wait a few minutes without \
             trying, then check again."
                .into(),
        );
    }
    (
        "the pooler has stopped connecting to this project's database for a while, because it did \
         not answer"
            .into(),
        "Look at the project in Supabase's dashboard: restore it if it is paused, restart it if it \
         is unhealthy; then wait a few minutes."
            .into(),
    )
}

fn pooler_is_full(address: &DatabaseAddress) -> Advice {
    let is_session = address
        .supabase()
        .is_some_and(|it| it.door == SupabaseDoor::SessionPooler);
    if !is_session {
        return (
            "the pooler has no connection left".into(),
            "Close connections that nobody uses, or enlarge the project's compute size.".into(),
        );
    }
    let string = address
        .supabase_pooler(TRANSACTION_PORT)
        .unwrap_or_default();
    (
        "the session pooler has no connection left: it takes as many as its pool size".into(),
        format!(
            "Close connections that nobody uses, raise the pool size (Database → Settings → \
             Connection pooling), or use the transaction pooler, which shares them: {string}."
        ),
    )
}
