//! Reads a machine's certificate back: whose it is, and when it is time for the next.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{IdentityError, Key, authority::pin};

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Host name; of the authority its own name.
    pub name: String,
    /// Role; empty for the authority.
    pub role: String,
    /// First second, since 1970.
    pub from: i64,
    /// Last second.
    pub until: i64,
    /// `sha256:` and the digest of its DER form.
    pub pin: String,
    public: Vec<u8>,
}

impl Certificate {
    /// Reads PEM.
    ///
    /// # Errors
    /// It is no certificate.
    pub fn parse(pem: &str) -> Result<Self, IdentityError> {
        let wrong = |text: String| IdentityError::Certificate(text);
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|error| wrong(error.to_string()))?;
        Self::from_der(&block.contents)
    }

    /// Reads DER.
    ///
    /// # Errors
    /// It is no certificate, or its subject has no name.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let wrong = |text: String| IdentityError::Certificate(text);
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| wrong(error.to_string()))?;
        let subject = certificate.subject();
        let name = subject
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .ok_or_else(|| wrong("it has no name".into()))?;
        let role = subject
            .iter_organizational_unit()
            .next()
            .and_then(|role| role.as_str().ok())
            .unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            role: role.to_owned(),
            from: certificate.validity().not_before.timestamp(),
            until: certificate.validity().not_after.timestamp(),
            pin: pin(der),
            public: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// The public point.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Two thirds of its time are over, or its time has not come: it is time for the next.
    #[must_use]
    pub fn is_due(&self, now: i64) -> bool {
        let third = self.until.saturating_sub(self.from) / 3;
        now >= self.until.saturating_sub(third) || now < self.from
    }
}

/// Whether key and certificate (both PEM) belong together.
///
/// # Errors
/// One cannot be read, or they do not.
pub fn check_pair(certificate: &str, key: &str) -> Result<Certificate, IdentityError> {
    let certificate = Certificate::parse(certificate)?;
    if Key::parse(key)?.public() == certificate.public {
        Ok(certificate)
    } else {
        Err(IdentityError::Pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Machine, Validity};
    use proptest::prelude::*;

    fn machine() -> Machine {
        Machine {
            name: "db1".into(),
            role: "galera".into(),
            domain: Some("rack.example".into()),
            addresses: vec!["10.77.30.21".parse().unwrap(), "fd00::21".parse().unwrap()],
        }
    }

    #[test]
    fn the_authority_is_the_same_wherever_it_is_made() {
        let (first, second) = (
            Authority::new("seed").unwrap(),
            Authority::new("seed").unwrap(),
        );
        assert_eq!(first.certificate(), second.certificate());
        assert_eq!(first.pin(), second.pin());
        assert_ne!(first.pin(), Authority::new("other").unwrap().pin());
        let read = Certificate::parse(&first.certificate()).unwrap();
        assert_eq!(read.pin, first.pin());
        assert_eq!(read.role, "");
        insta::assert_snapshot!(read.name, @"Rackwright authority 05cfcb69");
    }

    #[test]
    fn a_certificate_says_what_the_plan_says() {
        let authority = Authority::new("seed").unwrap();
        let key = Key::derive(&[9; 32], "node").unwrap();
        // The request asks for another name, and gets the plan's.
        let request = key.request("control1").unwrap();
        let now = 1_800_000_000;
        let pem = authority
            .sign(&machine(), &request, Validity::issued_at(now))
            .unwrap();
        let read = check_pair(&pem, &key.pem().unwrap()).unwrap();
        assert_eq!((read.name.as_str(), read.role.as_str()), ("db1", "galera"));
        assert_eq!(
            (read.from, read.until),
            (now - 3600, now - 3600 + 730 * 86_400)
        );
        assert!(!read.is_due(now) && read.is_due(now + 487 * 86_400) && read.is_due(0));
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&block.contents).unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        let shown = format!("{:?}", names.value.general_names);
        assert!(
            shown.contains("db1.rack.example") && shown.contains("10, 77, 30, 21"),
            "{shown}"
        );
        assert!(!shown.contains("control1"));
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth);
        assert!(!parsed.is_ca());
        let other = Key::derive(&[8; 32], "node").unwrap();
        assert_eq!(
            check_pair(&pem, &other.pem().unwrap()),
            Err(IdentityError::Pair)
        );
    }

    #[test]
    fn a_request_must_be_signed_by_its_key() {
        let authority = Authority::new("seed").unwrap();
        let key = Key::derive(&[9; 32], "node").unwrap();
        let request = key.request("db1").unwrap();
        let broken = request.replacen("MI", "MJ", 1);
        for wrong in ["", "x", broken.as_str(), &authority.certificate()] {
            let got = authority.sign(&machine(), wrong, Validity::whole());
            assert!(matches!(got, Err(IdentityError::Request(_))), "{got:?}");
        }
        let strange = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let request = rcgen::CertificateParams::default().serialize_request(&strange);
        let request = request.unwrap().pem().unwrap();
        let got = authority.sign(&machine(), &request, Validity::whole());
        assert_eq!(got, Err(IdentityError::Curve));
    }

    proptest! {
        /// Whatever somebody sends, nothing panics.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..300_usize, to: u8) {
            let _ = Certificate::from_der(&bytes);
            let _ = Certificate::parse(&String::from_utf8_lossy(&bytes));
            let authority = Authority::new("seed").unwrap();
            let mut changed = authority.certificate().into_bytes();
            if let Some(byte) = changed.get_mut(at) {
                *byte = to;
            }
            let changed = String::from_utf8_lossy(&changed).into_owned();
            let _ = Certificate::parse(&changed);
            let _ = authority.sign(&machine(), &changed, Validity::whole());
        }
    }
}
