package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Certificate is a certificate being served, or a name for which one is on its way.
type Certificate struct {
	TLS     string   `json:"tls"` // the block
	Names   []string `json:"names"`
	Source  string   `json:"source"`            // "acme", "file" or "internal"
	State   string   `json:"state"`             // "valid", "expires soon", "expired", "not yet valid", "not usable"; for acme also "obtaining", "renewing", "failed", "unreachable", "waiting for the first handshake"
	CA      string   `json:"ca,omitempty"`      // for acme: the CA, by name
	Issuer  string   `json:"issuer,omitempty"`  // who has signed it, a distinguished name
	Way     string   `json:"way,omitempty"`     // for acme: by which challenges the CA can see that the name is ours
	File    string   `json:"file,omitempty"`    // where it is stored
	Serving string   `json:"serving,omitempty"` // what clients get where that is something else
	Problem string   `json:"problem,omitempty"` // with a file: why what is in it now is not served

	NotBefore time.Time    `json:"not_before,omitzero"`
	NotAfter  time.Time    `json:"not_after,omitzero"` // of what is served for the names; zero while that only stands in for another one
	Next      time.Time    `json:"next,omitzero"`      // when gatehouse does something about it
	Obtained  time.Time    `json:"obtained,omitzero"`  // by this process
	Failure   *CertFailure `json:"failure,omitempty"`  // of the last attempt
	Successes uint64       `json:"successes,omitempty"`
	Failures  uint64       `json:"failures,omitempty"`
	Default   bool         `json:"default,omitempty"` // served to clients that name no host
}

// CertFailure is an attempt to obtain a certificate that has failed.
type CertFailure struct {
	Time      time.Time `json:"time"`
	Times     int       `json:"times"` // in a row
	CA        string    `json:"ca,omitempty"`
	Challenge string    `json:"challenge,omitempty"`
	Problem   string    `json:"problem"` // what the CA has said, word for word, else what went wrong
	Why       string    `json:"why"`     // what that means
}

// CertDetail is all there is to say of a certificate being served.
type CertDetail struct {
	TLS       string     `json:"tls"`
	Names     []string   `json:"names"`
	State     string     `json:"state"`
	Subject   string     `json:"subject"`
	Issuer    string     `json:"issuer"`
	Serial    string     `json:"serial"` // in hexadecimal, as the fingerprints
	Key       string     `json:"key"`
	Signature string     `json:"signature"`
	SHA256    string     `json:"sha256"`
	SHA1      string     `json:"sha1"`
	PublicKey string     `json:"public_key_sha256"`
	NotBefore time.Time  `json:"not_before"`
	NotAfter  time.Time  `json:"not_after"`
	File      string     `json:"file,omitempty"`
	Since     time.Time  `json:"serving_since"`
	Default   bool       `json:"default,omitempty"`
	Chain     []CertLink `json:"chain"` // sent after it
	Responder string     `json:"ocsp_responder,omitempty"`
	Staple    *Staple    `json:"ocsp_staple,omitempty"`
}

// CertLink is a certificate of a chain.
type CertLink struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"not_after"`
}

// Staple is what a CA says of a certificate, and is sent along with it.
type Staple struct {
	Status     string    `json:"status"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update,omitzero"`
}

// CertName asks about one name.
type CertName struct {
	Name string `json:"name"`
}

// CertShown is what there is to say of a name: how it stands with it, and what clients get.
type CertShown struct {
	State   *Certificate `json:"state,omitempty"` // nil: nothing is obtained for it
	Details []CertDetail `json:"details"`
}

// Renewal asks for other certificates in the place of those there are.
type Renewal struct {
	Names []string `json:"names,omitempty"`
	All   bool     `json:"all,omitempty"`   // all that are obtained by ACME
	Force bool     `json:"force,omitempty"` // those too for which it is not time yet
}

// Check reports an order that says nothing, or two things at once.
func (r *Renewal) Check() error {
	if r.All == (len(r.Names) > 0) {
		return errors.New("want names, or all")
	}
	return nil
}

// Renewing is what has become of a Renewal at first: what goes on takes its time.
type Renewing struct {
	Started []Started  `json:"started,omitempty"`
	Left    []LeftCert `json:"left,omitempty"`
}

// Started is a name for which a certificate is being obtained. It is over when one of the counts in its Certificate is larger.
type Started struct {
	TLS       string `json:"tls"`
	Name      string `json:"name"`
	Successes uint64 `json:"successes"`
	Failures  uint64 `json:"failures"`
}

// LeftCert is a name for which nothing is done.
type LeftCert struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	Bad  bool   `json:"bad,omitempty"` // it is not as it should be
}

// Certificates asks for the certificates, with the files that nothing is served of.
func (c *Client) Certificates(ctx context.Context) ([]Certificate, error) {
	var list []Certificate
	return list, c.ask(ctx, "GET", "/certificates", nil, &list)
}

// Certificate asks about one name.
func (c *Client) Certificate(ctx context.Context, name string) (*CertShown, error) {
	var s CertShown
	return &s, c.ask(ctx, "POST", "/certificates/show", CertName{name}, &s)
}

// Renew asks for other certificates and does not wait for them.
func (c *Client) Renew(ctx context.Context, r Renewal) (*Renewing, error) {
	var s Renewing
	return &s, c.ask(ctx, "POST", "/certificates/renew", r, &s)
}

// certOrders adds to m what the socket answers about certificates.
func (p Process) certOrders(m *http.ServeMux) {
	m.HandleFunc("GET /certificates", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, p.Certificates()) })
	m.HandleFunc("POST /certificates/show", answering(maxOrder, func(q CertName) (*CertShown, error) { return p.Certificate(q.Name) }))
	m.HandleFunc("POST /certificates/renew", answering(maxOrder, func(q Renewal) (*Renewing, error) {
		if err := q.Check(); err != nil {
			return nil, err
		}
		return p.Renew(q)
	}))
	m.HandleFunc("POST /certificates/import", answering(maxCert, p.ImportCertificate))
	m.HandleFunc("POST /certificates/export", answering(maxOrder, func(q CertName) (*CertPEM, error) { return p.ExportCertificate(q.Name) }))
}

// answering reads a question of at most that many bytes and answers it.
func answering[Q, A any](most int64, answer func(Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode(&q); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		a, err := answer(q)
		switch {
		case errors.Is(err, ErrUnknown):
			refuse(w, http.StatusNotFound, err)
		case err != nil:
			refuse(w, http.StatusUnprocessableEntity, err)
		default:
			reply(w, http.StatusOK, a)
		}
	}
}

// From says where a certificate comes from.
func (c *Certificate) From() string {
	switch c.Source {
	case "acme":
		return c.CA
	case "internal":
		return "the internal CA"
	}
	return c.File
}

// Plan says what gatehouse does next about it, "-" for nothing.
func (c *Certificate) Plan(now time.Time) string {
	switch {
	case c.Source == "file":
		return "-"
	case c.Next.IsZero():
		if c.Failure != nil {
			return "with the next handshake"
		}
		return "-"
	case c.Next.Before(now):
		return "now"
	}
	return "in " + age(c.Next.Sub(now))
}

// Remarks are what else a person wants to know of a certificate, a sentence each.
func (c *Certificate) Remarks(now time.Time) (list []string) {
	if f := c.Failure; f != nil {
		text := fmt.Sprintf("attempt failed %s ago", age(now.Sub(f.Time)))
		if f.Times > 1 {
			text += fmt.Sprintf(", %d in a row", f.Times)
		}
		list = append(list, text+": "+f.Why)
		if !strings.Contains(f.Why, f.Problem) && !strings.Contains(f.Why, fmt.Sprintf("%q", f.Problem)) {
			list = append(list, "word for word: "+f.Problem)
		}
	}
	if c.Problem != "" {
		list = append(list, c.Problem)
	}
	if c.Serving != "" {
		list = append(list, "clients get "+c.Serving)
	}
	return list
}

// Tone is how the state of a certificate is coloured: good, fair or bad.
func (c *Certificate) Tone() string {
	switch c.State {
	case "valid", "renewing":
		if c.Failure != nil {
			return "fair"
		}
		return "good"
	case "obtaining", "expires soon", "waiting for the first handshake":
		return "fair"
	}
	return "bad"
}

// Name is what the certificate is known by: its first name, else its file.
func (c *Certificate) Name() string {
	if len(c.Names) > 0 {
		return c.Names[0]
	}
	return c.File
}

// Covers reports whether name is one of its names, or is covered by one that is a wildcard.
func (c *Certificate) Covers(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return slices.Contains(c.Names, name) || parent != "" && slices.Contains(c.Names, "*."+parent)
}

// CertImport brings in a certificate.
type CertImport struct {
	PEM   string `json:"pem"` // with its key and its chain
	Force bool   `json:"force,omitempty"`
}

// CertImported is what has become of it.
type CertImported struct {
	TLS     string    `json:"tls"`
	Names   []string  `json:"names"`
	Managed bool      `json:"managed"` // it is renewed in time; else it is served until other ones have been obtained
	Known   bool      `json:"known"`   // it had been there already
	File    string    `json:"file"`
	Until   time.Time `json:"until"`
}

// InWords says what has become of it.
func (c *CertImported) InWords() string {
	what := "served until each of its names has a certificate of its own"
	if c.Managed {
		what = "renewed by gatehouse from now on"
	}
	if c.Known {
		what = "was there already"
	}
	return fmt.Sprintf("%s: %s, good until %s, tls %s", strings.Join(c.Names, " "), what, c.Until.Local().Format(time.DateOnly), c.TLS)
}

// CertPEM is a certificate with its key, in PEM.
type CertPEM struct {
	Chain string `json:"chain"`
	Key   string `json:"key"`
}

// maxCert bounds a certificate that is brought in.
const maxCert = 2 << 20

// ImportCertificate brings in a certificate.
func (c *Client) ImportCertificate(ctx context.Context, i CertImport) (*CertImported, error) {
	var d CertImported
	return &d, c.ask(ctx, "POST", "/certificates/import", i, &d)
}

// ExportCertificate asks for the certificate of a name with its key.
func (c *Client) ExportCertificate(ctx context.Context, name string) (*CertPEM, error) {
	var d CertPEM
	return &d, c.ask(ctx, "POST", "/certificates/export", CertName{name}, &d)
}
