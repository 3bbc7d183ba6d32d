package acmetest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/letsencrypt/pebble/v2/acme"
	"github.com/letsencrypt/pebble/v2/core"
	"github.com/letsencrypt/pebble/v2/db"
)

// maxOrder bounds what is read of a request for a certificate.
const maxOrder = 64 << 10

// findReplaced makes Pebble find the certificate that an order replaces (RFC 9773 section 5), whatever its serial number. One whose first byte is
// 0x80 or more has a zero before it in DER and so in the order, but not where Pebble has noted it: one renewal of 256 would be refused.
func findReplaced(store *db.MemoryStore, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxOrder))
	r.Body = io.NopCloser(bytes.NewReader(body))
	var signed struct {
		Payload string `json:"payload"`
	}
	if err != nil || json.Unmarshal(body, &signed) != nil {
		return
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	var order struct {
		Replaces string `json:"replaces"`
	}
	if err != nil || json.Unmarshal(payload, &order) != nil {
		return
	}
	_, text, _ := strings.Cut(order.Replaces, ".")
	if serial, err := base64.RawURLEncoding.DecodeString(text); err == nil {
		noteSerial(store, serial)
	}
}

// noteSerial notes the order of a certificate under its serial number in DER, too.
func noteSerial(store *db.MemoryStore, serial []byte) {
	if len(serial) < 2 || serial[0] != 0 {
		return
	}
	if _, err := store.GetOrderByIssuedSerial(hex.EncodeToString(serial)); err == nil {
		return
	}
	o, err := store.GetOrderByIssuedSerial(hex.EncodeToString(serial[1:]))
	if err != nil {
		return
	}
	o.RLock()
	defer o.RUnlock()
	store.AddOrderByIssuedSerial(&core.Order{
		ID: o.ID, AccountID: o.AccountID, Order: acme.Order{Identifiers: o.Identifiers}, IsReplaced: o.IsReplaced,
		CertificateObject: &core.Certificate{ID: hex.EncodeToString(serial)},
	})
}
