package slots

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"google.golang.org/grpc/codes"
)

// load reads the files and returns a configuration and a fingerprint of what they held. The certificate and its key
// are checked to fit each other.
func (t *TLS) load() (*tls.Config, [sha256.Size]byte, error) {
	config := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	var pems [3][]byte
	for i, path := range []string{t.CA, t.Cert, t.Key} {
		if path == "" {
			continue
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, [sha256.Size]byte{}, tlsUnreadable(err)
		}
		pems[i] = pem
	}
	if t.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pems[0]) {
			return nil, [sha256.Size]byte{}, tlsUnreadable(fmt.Errorf("%s holds no certificate", t.CA))
		}
	}
	if t.Cert != "" {
		pair, err := tls.X509KeyPair(pems[1], pems[2])
		if err != nil {
			return nil, [sha256.Size]byte{}, tlsUnreadable(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	hash := sha256.New()
	for _, pem := range pems {
		fmt.Fprintf(hash, "%d:", len(pem))
		hash.Write(pem)
	}
	return config, [sha256.Size]byte(hash.Sum(nil)), nil
}

func tlsUnreadable(cause error) error {
	e := newError(codes.FailedPrecondition, ReasonTLSUnreadable, "the TLS files do not load: %v", cause)
	e.cause = cause
	return e
}
