package acmetest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/letsencrypt/pebble/v2/core"
	"github.com/letsencrypt/pebble/v2/db"
)

// TestSerialsOfReplacedCertificates: what an order replaces is found, whether or not its serial number has a zero before it.
func TestSerialsOfReplacedCertificates(t *testing.T) {
	for _, x := range []struct {
		noted  string
		serial []byte
		id     string
		want   bool
	}{
		{"71", []byte{0x71}, "71", true},
		{"81ff", []byte{0, 0x81, 0xff}, "0081ff", true},
		{"81ff", []byte{0, 0x82, 0xff}, "0082ff", false},
		{"00", []byte{0}, "00", true},
	} {
		store := db.NewMemoryStore()
		if err := store.AddOrderByIssuedSerial(&core.Order{AccountID: "me", CertificateObject: &core.Certificate{ID: x.noted}}); err != nil {
			t.Fatal(err)
		}
		payload, _ := json.Marshal(map[string]string{"replaces": "AQ." + base64.RawURLEncoding.EncodeToString(x.serial)})
		body, _ := json.Marshal(map[string]string{"payload": base64.RawURLEncoding.EncodeToString(payload)})
		r, err := http.NewRequest("POST", "/order-plz", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		findReplaced(store, r)
		left := make([]byte, len(body)+1)
		if n, _ := r.Body.Read(left); string(left[:n]) != string(body) {
			t.Errorf("%x: the request has become %q", x.serial, left[:n])
		}
		o, err := store.GetOrderByIssuedSerial(x.id)
		if (err == nil) != x.want || err == nil && o.AccountID != "me" {
			t.Errorf("%x: %+v %v", x.serial, o, err)
		}
	}
}
