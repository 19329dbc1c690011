//! The certificate authority of a cluster: one self-signed certificate that is the same bytes wherever it is made.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{IdentityError, Key};

/// 2020-01-01, before any machine of a cluster was made: a clock that is wrong by years still finds the authority valid.
const BEGIN: i64 = 1_577_836_800;
/// 2049-12-31 23:59:59, the last year that RFC 5280 (4.1.2.5) writes as UTCTime; it outlives the hardware.
const END: i64 = 2_524_607_999;
/// Clocks of two machines differ: a certificate is valid this long before it is made.
const BACKDATED: i64 = 3600;
/// Of an issued certificate: two years. It is renewed when two thirds are over.
const LIFETIME: i64 = 730 * 86_400;

/// A machine as the plan knows it: all that its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Host name.
    pub name: String,
    /// Role, stands as organizational unit.
    pub role: String,
    /// DNS domain, if there is one: the full name then stands in the certificate too.
    pub domain: Option<String>,
    /// All its addresses, without prefix.
    pub addresses: Vec<IpAddr>,
}

/// How long a certificate is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: i64,
    /// Last second.
    pub until: i64,
}

impl Validity {
    /// Of a certificate that is made now.
    #[must_use]
    pub fn issued_at(now: i64) -> Self {
        let from = now.saturating_sub(BACKDATED).clamp(BEGIN, END);
        Self {
            from,
            until: from.saturating_add(LIFETIME).min(END),
        }
    }

    /// Of a certificate that `rackwright compile` makes, which knows no clock and which nobody renews: as long as the
    /// authority.
    #[must_use]
    pub fn whole() -> Self {
        Self {
            from: BEGIN,
            until: END,
        }
    }
}

/// The authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, Key>,
    certificate: rcgen::Certificate,
}

impl Authority {
    /// Makes it from the secret `ca-key-seed`.
    ///
    /// # Errors
    /// A key or certificate cannot be made, which does not happen.
    pub fn new(secret: &str) -> Result<Self, IdentityError> {
        let key = Key::derive(secret.as_bytes(), "authority")?;
        let mut params = CertificateParams::default();
        // A name of its own, so that two clusters' authorities are told apart in a list.
        let name = format!(
            "Rackwright authority {}",
            hex::encode(&Sha256::digest(key.public())[..4])
        );
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        set_validity(&mut params, Validity::whole());
        params.serial_number = Some(serial(key.public(), BEGIN));
        // Signs machines only, no further authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params
            .self_signed(&key)
            .map_err(|error| issue("authority", &error))?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.certificate.pem()
    }

    /// `sha256:` and the digest of its certificate (DER) in hexadecimal: what a node file says, so that a machine knows
    /// the authority before it has met it.
    #[must_use]
    pub fn pin(&self) -> String {
        pin(self.certificate.der())
    }

    /// A certificate (PEM) for the key of a request. Of the request only the key counts, and that its sender has it.
    ///
    /// # Errors
    /// The request cannot be read, is not signed by its key, or has a key of another curve.
    pub fn sign(
        &self,
        machine: &Machine,
        request: &str,
        validity: Validity,
    ) -> Result<String, IdentityError> {
        let request = CertificateSigningRequestParams::from_pem(request)
            .map_err(|error| IdentityError::Request(error.to_string()))?;
        if request.public_key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(IdentityError::Curve);
        }
        self.issue(machine, &request.public_key, validity)
    }

    /// A certificate (PEM) for a key that is known to be the machine's.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn issue(
        &self,
        machine: &Machine,
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<String, IdentityError> {
        let mut names = vec![machine.name.clone()];
        if let Some(domain) = &machine.domain {
            names.push(format!("{}.{domain}", machine.name));
        }
        let mut params =
            CertificateParams::new(names).map_err(|error| issue(&machine.name, &error))?;
        let addresses = machine.addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        params.distinguished_name = DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationalUnitName, machine.role.as_str());
        name.push(DnType::CommonName, machine.name.as_str());
        set_validity(&mut params, validity);
        params.serial_number = Some(serial(key.der_bytes(), validity.from));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|error| issue(&machine.name, &error))?;
        Ok(certificate.pem())
    }
}

/// `sha256:` and the digest of a certificate in DER.
pub(crate) fn pin(der: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(der)))
}

fn issue(name: &str, error: &rcgen::Error) -> IdentityError {
    IdentityError::Issue {
        name: name.to_owned(),
        reason: error.to_string(),
    }
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let date = |seconds| OffsetDateTime::from_unix_timestamp(seconds);
    // Both are between BEGIN and END.
    params.not_before = date(validity.from).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_after = date(validity.until).unwrap_or(OffsetDateTime::UNIX_EPOCH);
}

/// Unique for each key and time, and the same wherever it is made; 16 octets of the 20 that RFC 5280 (4.1.2.2) allows.
fn serial(public: &[u8], from: i64) -> SerialNumber {
    let digest = Sha256::new()
        .chain_update(public)
        .chain_update(from.to_be_bytes())
        .finalize();
    let mut bytes = digest.iter().copied().take(16).collect::<Vec<_>>();
    // Never zero and never negative.
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}
