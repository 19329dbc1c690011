//! TLS of both sides: who is a machine of this cluster, the authority's signature says; who is a control server, the role in
//! the certificate. Before a machine has a certificate it knows the authority by its pin.

use std::sync::Arc;

use camino::Utf8Path;
use identity::{Certificate, IdentityError};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};
use zeroize::Zeroizing;

/// A machine's certificate, its key and the authority's certificate, PEM each.
#[derive(Clone)]
pub struct Identity {
    /// The authority's.
    pub authority: String,
    /// The machine's.
    pub certificate: String,
    /// Its key.
    pub key: Zeroizing<String>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the identity.
    #[error("the identity of this machine cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Its content.
    #[error("the identity of this machine: {0}")]
    Identity(#[from] IdentityError),
    /// What the library said.
    #[error("the identity of this machine is not usable for TLS: {0}")]
    Tls(String),
}

impl Identity {
    /// Reads `ca.pem`, `node.pem` and `node.key` of a folder.
    ///
    /// # Errors
    /// One is not there, or key and certificate do not belong together.
    pub fn read(folder: &Utf8Path) -> Result<Self, TlsError> {
        let identity = Self {
            authority: fs_err::read_to_string(folder.join("ca.pem"))?,
            certificate: fs_err::read_to_string(folder.join("node.pem"))?,
            key: Zeroizing::new(fs_err::read_to_string(folder.join("node.key"))?),
        };
        identity::check_pair(&identity.certificate, &identity.key)?;
        Ok(identity)
    }

    /// Own certificate, then that of the authority: a machine that knows only the pin must see it.
    fn chain(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let own = der(&self.certificate)?;
        let authority = der(&self.authority)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(tls)?;
        Ok((vec![own, authority], key))
    }
}

fn tls(error: impl ToString) -> TlsError {
    TlsError::Tls(error.to_string())
}

fn der(pem: &str) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(tls)
}

fn roots(authority: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)?).map_err(tls)?;
    Ok(roots)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Server that asks for the other side's certificate and also takes who has none: enrolling is what they may.
///
/// # Errors
/// See [`TlsError`].
pub fn server(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let roots = Arc::new(roots(&identity.authority)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(tls)?;
    let (chain, key) = identity.chain()?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(tls)?;
    Ok(Arc::new(config))
}

/// Client with a certificate of its own.
///
/// # Errors
/// See [`TlsError`].
pub fn client(identity: &Identity) -> Result<Arc<ClientConfig>, TlsError> {
    let (chain, key) = identity.chain()?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_root_certificates(roots(&identity.authority)?)
        .with_client_auth_cert(chain, key)
        .map_err(tls)?;
    Ok(Arc::new(config))
}

/// Client that knows the authority by its pin only.
///
/// # Errors
/// See [`TlsError`].
pub fn pinned(pin: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = Pinned {
        pin: pin.to_owned(),
        provider: provider(),
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Name and role of the other side, from its certificate that TLS has checked.
#[must_use]
pub fn peer(certificates: Option<&[CertificateDer<'_>]>) -> Option<Certificate> {
    Certificate::from_der(certificates?.first()?).ok()
}

/// Trusts the one authority whose certificate has the pin and stands in the chain, then checks as usual.
#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let known = |der: &&CertificateDer<'_>| {
            Certificate::from_der(der).is_ok_and(|read| read.pin == self.pin)
        };
        let Some(authority) = intermediates.iter().find(known) else {
            return Err(rustls::Error::General(
                "the server belongs to another cluster: its authority has not the pin of the node file"
                    .into(),
            ));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The key stays out of logs.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}
