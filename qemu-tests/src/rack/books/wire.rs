//! A connection with limits: each wait ends, and each failure says what was waited for.

use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::journal::Failure;

/// Where a server is and how patient its client is.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS from the first byte (RFC 8314), whoever the certificate says it is: the books measure mail, not trust.
    pub tls: bool,
    /// For the connection.
    pub connect: Duration,
    /// For each answer.
    pub answer: Duration,
}

/// Both ways.
trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

/// A connection.
pub struct Wire(BufReader<Box<dyn Both>>);

/// Bytes of a line at most: a server that talks for ever is not well.
const LINE: u64 = 65_536;

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub fn open(server: &Server) -> Result<Self, Failure> {
        let unreachable = |error: &dyn std::fmt::Display| Failure::Unreachable {
            error: error.to_string(),
        };
        let stream = TcpStream::connect_timeout(&server.address, server.connect)
            .map_err(|error| unreachable(&error))?;
        let limits = stream
            .set_read_timeout(Some(server.answer))
            .and_then(|()| stream.set_write_timeout(Some(server.answer)))
            .and_then(|()| stream.set_nodelay(true));
        limits.map_err(|error| unreachable(&error))?;
        let stream: Box<dyn Both> = if server.tls {
            let name = ServerName::from(server.address.ip());
            let connection = anybody()
                .and_then(|config| ClientConnection::new(config, name))
                .map_err(|error| unreachable(&error))?;
            Box::new(StreamOwned::new(connection, stream))
        } else {
            Box::new(stream)
        };
        Ok(Self(BufReader::new(stream)))
    }

    /// Says something. `stage` names it in failures.
    ///
    /// # Errors
    /// If it cannot be said in time.
    pub fn say(&mut self, stage: &str, bytes: &[u8]) -> Result<(), Failure> {
        let stream = self.0.get_mut();
        stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .map_err(|error| failure(stage, &error))
    }

    /// A line, without its end.
    ///
    /// # Errors
    /// If none comes in time.
    pub fn line(&mut self, stage: &str) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        self.0
            .by_ref()
            .take(LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| failure(stage, &error))?;
        if bytes.last() != Some(&b'\n') {
            return Err(failure(stage, &ErrorKind::UnexpectedEof.into()));
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// So many bytes.
    ///
    /// # Errors
    /// If they do not come in time.
    pub fn bytes(&mut self, stage: &str, count: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = self.0.by_ref().take(count).read_to_end(&mut bytes);
        let read = read.map_err(|error| failure(stage, &error))?;
        if u64::try_from(read).is_ok_and(|read| read == count) {
            Ok(bytes)
        } else {
            Err(failure(stage, &ErrorKind::UnexpectedEof.into()))
        }
    }
}

fn failure(stage: &str, error: &std::io::Error) -> Failure {
    match error.kind() {
        // A limit that ran out is the first on Linux, the second elsewhere (`TcpStream::set_read_timeout`).
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::TimedOut {
            stage: stage.to_owned(),
        },
        ErrorKind::UnexpectedEof => Failure::Disconnected {
            stage: stage.to_owned(),
            error: "the server closed it".to_owned(),
        },
        _ => Failure::Disconnected {
            stage: stage.to_owned(),
            error: error.to_string(),
        },
    }
}

fn anybody() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes every certificate; signatures are checked, so that a broken line is still noticed.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
