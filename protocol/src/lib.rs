//! What crosses between organisations: orders, votes, certificates, signatures, framing and mutual TLS.
