package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"
)

// pemFile is what counts in a PEM file: its certificates and its private keys, each in the order they stand in.
type pemFile struct {
	certs []*x509.Certificate
	keys  []crypto.Signer
}

const (
	begin = "-----BEGIN "
	end   = "-----END "
	dash  = "-----"
	bom   = "\xef\xbb\xbf"
)

// parsePEM reads the text of a PEM file. Blocks of other kinds (DH parameters, curves, requests, revocation lists) and text
// between the blocks are passed over, as stunnel, HAProxy and Apache do. A block that is cut short is an error, not text: it is how
// a half-written file looks.
func parsePEM(name string, data []byte) (pemFile, *fault) {
	var p pemFile
	refuse := func(line int, problem, remedy string) (pemFile, *fault) {
		if line > 0 {
			problem = fmt.Sprintf("line %d: %s", line, problem)
		}
		return pemFile{}, &fault{file: name, problem: problem, remedy: remedy}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return refuse(0, "is UTF-16 text", fmt.Sprintf("Write it as plain text: iconv -f utf-16 -t ascii %s", name))
	}
	blocks := 0
	for line, rest := 1, data; ; {
		at := nextBegin(rest)
		if at < 0 {
			break
		}
		line += bytes.Count(rest[:at], []byte("\n"))
		rest = rest[at:]
		kind, text, n := cutBlock(rest)
		if text == nil {
			return refuse(line, "the block is cut short", "The file is damaged or half written: copy it again, whole.")
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return refuse(line, "the "+kind+" block is damaged", "Copy the file again; every block is lines of base64 between BEGIN and END.")
		}
		blocks++
		switch {
		case strings.HasSuffix(kind, "CERTIFICATE"):
			cert, err := parseCertificate(block)
			if err != nil {
				return refuse(line, "the certificate cannot be read: "+err.Error(), "Remove the block if it is not needed, or have the certificate issued again.")
			}
			p.certs = append(p.certs, cert)
		case strings.HasSuffix(kind, "PRIVATE KEY"):
			key, problem, remedy := parseKey(name, block)
			if key == nil {
				p, f := refuse(line, problem, remedy)
				f.key = true
				return p, f
			}
			p.keys = append(p.keys, key)
		}
		line += bytes.Count(rest[:n], []byte("\n"))
		rest = rest[n:]
	}
	if blocks == 0 && len(data) > 1 && data[0] == 0x30 { // an ASN.1 sequence
		return refuse(0, "is binary, not PEM", fmt.Sprintf("Convert it: openssl x509 -inform der -in %[1]s -out %[1]s.pem, or, for PKCS#12: openssl pkcs12 -nodes -in %[1]s -out %[1]s.pem", name))
	}
	return p, nil
}

// nextBegin returns where the next BEGIN line starts, or -1. It may follow an END line without a line end between, as in files made
// by cat from parts without a final newline.
func nextBegin(b []byte) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(begin))
		if i < 0 {
			return -1
		}
		i += from
		before := bytes.TrimSuffix(b[:i], []byte(bom))
		if len(before) == 0 || before[len(before)-1] == '\n' || before[len(before)-1] == '\r' || bytes.HasSuffix(before, []byte(dash)) {
			return i
		}
		from = i + len(begin)
	}
}

// cutBlock takes the block that b begins with: its kind, its text with a line end of its own, and its length in b. The text is nil
// when the block has no end.
func cutBlock(b []byte) (kind string, text []byte, n int) {
	head := b[len(begin):]
	i := bytes.Index(head, []byte(dash))
	if i < 0 || bytes.ContainsAny(head[:i], "\r\n") {
		return "", nil, 0
	}
	kind = string(head[:i])
	bodyAt := len(begin) + i + len(dash)
	closing := end + kind + dash
	at := bytes.Index(b[bodyAt:], []byte(closing))
	if at < 0 {
		return kind, nil, 0
	}
	// A BEGIN before the END: the END is that of a later block.
	if next := nextBegin(b[bodyAt:]); next >= 0 && next < at {
		return kind, nil, 0
	}
	n = bodyAt + at + len(closing)
	return kind, append(bytes.Clone(b[:n]), '\n'), n
}

// parseCertificate reads a certificate, that of OpenSSL's "TRUSTED CERTIFICATE" too, where trust settings follow.
func parseCertificate(block *pem.Block) (*x509.Certificate, error) {
	der := block.Bytes
	if block.Type == "TRUSTED CERTIFICATE" {
		var first asn1.RawValue
		if _, err := asn1.Unmarshal(der, &first); err != nil {
			return nil, err
		}
		der = first.FullBytes
	}
	return x509.ParseCertificate(der)
}

// parseKey reads a private key in any of the forms openssl writes: PKCS #8, PKCS #1, SEC 1.
func parseKey(name string, block *pem.Block) (key crypto.Signer, problem, remedy string) {
	plain := fmt.Sprintf("openssl pkey -in %[1]s -out %[1]s.key", name)
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, "the private key is encrypted", "Nobody is there to type the passphrase at a start. Decrypt it into a file only root may read: " + plain
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "OPENSSH PRIVATE KEY":
		return nil, "the private key is in OpenSSH's own form", "Convert a copy: ssh-keygen -p -N '' -m pkcs8 -f COPY"
	default:
		return nil, "a " + block.Type + " is not for TLS", "Have the certificate issued for an ECDSA P-256 key."
	}
	if err != nil {
		return nil, "the private key cannot be read: " + err.Error(), "Try to write it anew: " + plain
	}
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 1024 {
			return nil, fmt.Sprintf("an RSA key of %d bits is too short for TLS", k.N.BitLen()), "Have the certificate issued for an ECDSA P-256 key."
		}
		return k, "", ""
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P224() {
			return nil, "an ECDSA key on the curve P-224 is not for TLS", "Have the certificate issued for an ECDSA P-256 key."
		}
		return k, "", ""
	case ed25519.PrivateKey:
		return k, "", ""
	}
	return nil, fmt.Sprintf("a private key of type %T is not for TLS", parsed), "Have the certificate issued for an ECDSA P-256 key."
}
