//! The certificate authorities by which a client's server proves itself.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use x509_cert::{Certificate, der::Decode as _};

use super::AddressError;
use crate::error::shown;

/// The longest text that is looked at.
const LONGEST_PEM: usize = 64 * 1024;

/// One or more certificates that a client trusts to sign its server's. Nothing in it is secret.
#[derive(Clone)]
pub struct CertificateAuthority {
    pem: String,
    roots: Arc<RootCertStore>,
    subject: String,
    expires_at: DateTime<Utc>,
}

impl CertificateAuthority {
    /// Reads certificates in PEM form. Of what stands around them nothing is kept.
    ///
    /// # Errors
    ///
    /// When there is none, one is none, they are too long, or a private key is among them.
    pub fn parse(pem: &str) -> Result<Self, AddressError> {
        if pem.len() > LONGEST_PEM {
            return Err(AddressError::CertificateAuthority);
        }
        if pem.contains("PRIVATE KEY") {
            return Err(AddressError::PrivateKey);
        }
        let wrong = |_| AddressError::CertificateAuthority;
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        let mut first: Option<(String, DateTime<Utc>)> = None;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(wrong)?;
            let (subject, expires_at) = described(&certificate)?;
            roots
                .add(certificate.clone())
                .map_err(|_| AddressError::CertificateAuthority)?;
            certificates.push(certificate);
            first = Some(match first {
                Some((subject, earliest)) => (subject, earliest.min(expires_at)),
                None => (subject, expires_at),
            });
        }
        let (subject, expires_at) = first.ok_or(AddressError::CertificateAuthority)?;
        Ok(Self {
            pem: certificates.iter().map(|it| armoured(it)).collect(),
            roots: Arc::new(roots),
            subject,
            expires_at,
        })
    }

    /// The certificates alone, in PEM form.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Whose the first certificate is, fit to be shown.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When the first of the certificates runs out.
    #[must_use]
    pub const fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Whose a certificate is and until when it is good.
fn described(der: &CertificateDer<'_>) -> Result<(String, DateTime<Utc>), AddressError> {
    let wrong = || AddressError::CertificateAuthority;
    let certificate = Certificate::from_der(der.as_ref()).map_err(|_| wrong())?;
    let inner = &certificate.tbs_certificate;
    let until = inner.validity.not_after.to_unix_duration().as_secs();
    let until = i64::try_from(until).ok();
    let until = until.and_then(|it| DateTime::from_timestamp(it, 0));
    Ok((shown(&inner.subject.to_string()), until.ok_or_else(wrong)?))
}

/// A certificate in PEM form.
fn armoured(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
