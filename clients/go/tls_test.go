package slots

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) issue(t *testing.T, name string) (certPEM, keyPEM []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMutualTLSWithReload(t *testing.T) {
	noLeaks(t)
	ca, dir := newAuthority(t), t.TempDir()
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	serverCert, serverKey := ca.issue(t, "server")
	pair, err := tls.X509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var peers []string
	saw := func(stream watchStream) {
		p, _ := peer.FromContext(stream.Context())
		mu.Lock()
		defer mu.Unlock()
		peers = append(peers, p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName)
	}
	cut := make(chan struct{})
	server := serve(t, &scriptedServer{
		onWatch: func(n int, r *pb.WatchSlotsRequest, stream watchStream) error {
			saw(stream)
			_ = sendAll(stream, begin("a"), live("a", uint64(n), uint64(n+1), "v"+decimal(uint64(n))), synced(uint64(n+1)))
			select {
			case <-cut:
				return nil
			case <-stream.Context().Done():
				return nil
			}
		},
		onGet: func(int) (*pb.GetSecretResponse, error) {
			return &pb.GetSecretResponse{Name: "a", Slot: proto.Uint64(0), Crc32C: proto.Uint32(0)}, nil
		},
	}, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
	})))
	cert, key := ca.issue(t, "first")
	files := &TLS{
		CA: write(t, filepath.Join(dir, "ca.pem"),
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})),
		Cert: write(t, filepath.Join(dir, "cert.pem"), cert), Key: write(t, filepath.Join(dir, "key.pem"), key),
	}
	client := connect(t, Options{Address: server.address, TLS: files, Token: Text("t")})
	set := mustOpen(t, client, []string{"a"})
	if _, err := client.GetSecret(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}

	// A key that does not fit its certificate leaves the last good pair in place.
	cert, key = ca.issue(t, "second")
	write(t, files.Cert, cert)
	cut <- struct{}{}
	eventually(t, "reconnected with the old pair", holds(set.Handle("a"), "v1"))
	write(t, files.Key, key)
	cut <- struct{}{}
	eventually(t, "reconnected with the new pair", holds(set.Handle("a"), "v2"))
	if _, err := client.GetSecret(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(peers) != 3 || peers[0] != "first" || peers[1] != "first" || peers[2] != "second" {
		t.Fatalf("the server saw %v", peers)
	}
	_, err = Connect(Options{Address: server.address, TLS: &TLS{Cert: files.Cert, Key: files.CA}})
	wantError(t, err, codes.FailedPrecondition, ReasonTLSUnreadable)
}
