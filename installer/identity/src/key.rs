//! A private key of the curve P-256: what every TLS library of the appliance takes, and small. ECDSA with the nonce of
//! RFC 6979, so that the same authority signs the same certificate with the same bytes.

use std::fmt;

use hkdf::Hkdf;
use p256::{
    SecretKey,
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::IdentityError;

/// A private key; shown by nothing but [`Key::pem`].
pub struct Key {
    secret: SecretKey,
    /// Uncompressed point (SEC 1, 2.3.3): 65 bytes.
    public: Vec<u8>,
}

impl Key {
    /// A key from a secret of at least 128 bits: random bytes for a machine's own key, or a derived secret.
    ///
    /// HKDF-SHA256 (RFC 5869) with `purpose` and a count as info. A value that is no scalar of the curve has a chance of
    /// 2^-32 (the order is that close to 2^256); the next count is taken then.
    ///
    /// # Errors
    /// None of the counts gave a scalar, which does not happen.
    pub fn derive(secret: &[u8], purpose: &str) -> Result<Self, IdentityError> {
        let generator = Hkdf::<Sha256>::new(Some(b"rackwright identity"), secret);
        for count in 0..8_u8 {
            let mut bytes = Zeroizing::new([0; 32]);
            let info = format!("{purpose}\0{count}");
            // Fails only beyond 255 times 32 bytes (RFC 5869, 2.3).
            let _ = generator.expand(info.as_bytes(), &mut *bytes);
            if let Ok(secret) = SecretKey::from_slice(&*bytes) {
                return Ok(Self::new(secret));
            }
        }
        Err(IdentityError::Key)
    }

    /// Reads PKCS #8 in PEM.
    ///
    /// # Errors
    /// It is none, or not of this curve.
    pub fn parse(pem: &str) -> Result<Self, IdentityError> {
        SecretKey::from_pkcs8_pem(pem)
            .map(Self::new)
            .map_err(|_| IdentityError::Key)
    }

    fn new(secret: SecretKey) -> Self {
        let public = secret.public_key().to_sec1_bytes().to_vec();
        Self { secret, public }
    }

    /// PKCS #8 in PEM. For a file of mode 0600.
    ///
    /// # Errors
    /// It cannot be encoded, which does not happen.
    pub fn pem(&self) -> Result<Zeroizing<String>, IdentityError> {
        self.secret
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| IdentityError::Key)
    }

    /// The public point, as in a certificate.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// A certificate request (PKCS #10, PEM) of the machine `name`. Whatever else it asked for, the authority would not
    /// listen: names and addresses come from the plan.
    ///
    /// # Errors
    /// The name cannot stand in a certificate.
    pub fn request(&self, name: &str) -> Result<String, IdentityError> {
        let wrong = |error: rcgen::Error| IdentityError::Issue {
            name: name.to_owned(),
            reason: error.to_string(),
        };
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params
            .serialize_request(self)
            .and_then(|request| request.pem())
            .map_err(wrong)
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let key = SigningKey::from(&self.secret);
        let signature: DerSignature = key
            .try_sign(message)
            .map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.as_bytes().to_vec())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_file_and_is_shown_by_nothing() {
        let key = Key::derive(&[1; 32], "test").unwrap();
        let pem = key.pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(Key::parse(&pem).unwrap().public(), key.public());
        assert_eq!(format!("{key:?}"), "Key(..)");
        let other = Key::derive(&[1; 32], "other").unwrap();
        assert_ne!(other.public(), key.public());
        for wrong in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert_eq!(Key::parse(wrong).unwrap_err(), IdentityError::Key);
        }
    }
}
