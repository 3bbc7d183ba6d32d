package tlsconf

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
)

// A renewal tells the CA which certificate it replaces, which spares it the CA's limits (RFC 9773 section 5). But a CA refuses the order
// altogether when another account has obtained that certificate: somebody else's tool whose directory was taken over, an account of
// before the email was changed, or autocert's. And it would refuse each time.

// disown makes the next renewal of a host replace nothing, if what is stored was not obtained by the account that will renew it.
func (k *Keeper) disown(ctx context.Context, p *policy, issuer, host string) error {
	key := certmagic.StorageKeys.SiteMeta(issuer, host)
	text, err := k.storage.Load(ctx, key)
	if err != nil {
		return err
	}
	var meta struct {
		SANs   []string                   `json:"sans,omitempty"`
		Issuer map[string]json.RawMessage `json:"issuer_data,omitempty"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return err
	}
	var account string
	if err := json.Unmarshal(meta.Issuer["account"], &account); err != nil {
		account = "" // of the time before it was noted
	}
	if meta.Issuer["ca"] == nil || account != "" && account == p.account(ctx, issuer) {
		return nil
	}
	delete(meta.Issuer, "ca")
	if text, err = json.MarshalIndent(meta, "", "\t"); err != nil {
		return err
	}
	return k.storage.Store(ctx, key, text)
}

// account returns the URL of the policy's account at a CA, "" if there is none yet.
func (p *policy) account(ctx context.Context, issuer string) string {
	i := slices.Index(p.issuers, issuer)
	if i < 0 {
		return ""
	}
	email := strings.ToLower(p.email())
	user, _, _ := strings.Cut(email, "@")
	safe := certmagic.StorageKeys.Safe
	text, err := p.k.storage.Load(ctx, path.Join("acme", safe(issuer), "users", safe(email), safe(user)+".json"))
	if err != nil {
		return ""
	}
	var a struct {
		Location string `json:"location"`
	}
	if json.Unmarshal(text, &a) != nil {
		return ""
	}
	return a.Location
}
