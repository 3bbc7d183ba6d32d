package tlsconf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
	goacme "golang.org/x/crypto/acme"
)

// problem is what a CA has said, whichever library has read it (RFC 8555 section 6.7, RFC 9457).
type problem struct {
	kind      string // without the namespace: "connection", "unauthorized"
	detail    string
	challenge string // of the challenge that failed, as in "http-01"; "" for none
}

// problemOf finds what the CA has said in an error.
func problemOf(err error) (problem, bool) {
	if p, ok := errors.AsType[acme.Problem](err); ok {
		out := problem{kind: strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace), detail: cmp.Or(p.Detail, p.Title, p.Type)}
		for _, s := range p.Subproblems {
			out.detail += "; " + s.Detail
		}
		if a, ok := p.Resource.(acme.Authorization); ok {
			for _, c := range a.Challenges {
				if c.Error != nil {
					out.challenge = c.Type
				}
			}
		}
		return out, true
	}
	if p, ok := errors.AsType[*goacme.Error](err); ok {
		return problem{kind: strings.TrimPrefix(p.ProblemType, acme.ProblemTypeNamespace), detail: cmp.Or(p.Detail, p.ProblemType)}, true
	}
	if p, ok := errors.AsType[*refusal](err); ok {
		return p.problem, true
	}
	return problem{}, false
}

// explain says what an error in obtaining a certificate means. It may ask the DNS.
func (k *Keeper) explain(p *policy, host string, err error) *Failure {
	f := &Failure{CA: caName(p.c.directories()[0]), Problem: line(err.Error(), problemMost)}
	said, refused := problemOf(err)
	said.detail = line(said.detail, problemMost)
	if refused {
		f.Refused, f.Problem = true, said.detail
		f.Challenge = strings.ToUpper(said.challenge)
	}
	last := p.c.directories()[len(p.issuers)-1] // whose the error is
	if p.lazy {
		last = p.c.directories()[0]
	}
	if status := statusOf(err); said.kind == "rateLimited" || !refused && (status == "429" || status == "503") {
		f.Next = k.postponed(last)
		if t, ok := retryAfter(said.detail); ok {
			f.Next = t
		}
	}
	// The error is the last CA's. Where several were asked, each has its say.
	if others := k.said(host); len(p.issuers) > 1 && len(others) > 1 {
		var names []string
		for _, o := range others {
			names = append(names, o.issuer+": "+line(o.what, problemMost))
		}
		f.CA, f.Problem = "", strings.Join(names, "; ")
	}
	f.Why = k.why(p, host, f, said, refused, err)
	return f
}

// why puts a failure into a sentence.
func (k *Keeper) why(p *policy, host string, f *Failure, said problem, refused bool, err error) string {
	ca := cmp.Or(f.CA, "the last CA asked")
	where := host
	switch said.challenge {
	case "http-01":
		where = "http://" + host + "/.well-known/acme-challenge/"
	case "tls-alpn-01":
		where = host + ", port 443"
	case "dns-01":
		where = "the TXT record _acme-challenge." + strings.TrimPrefix(host, "*.")
	}
	if !refused {
		_, isNet := errors.AsType[net.Error](err)
		_, isFile := errors.AsType[*fs.PathError](err) // which has the methods of a net.Error too
		switch {
		case isFile, errors.Is(err, errStorage), strings.Contains(err.Error(), "storage check"):
			return fmt.Sprintf("the state directory %s cannot be used: %s%s", k.o.StateDir, line(err.Error(), causeMost), ownership(k.o.StateDir, err))
		}
		if s := k.unreached(p, ca, err); s != "" {
			return s
		}
		cause := line(root(err).Error(), causeMost)
		if errors.Is(err, context.DeadlineExceeded) || isNet {
			return fmt.Sprintf("%s cannot be reached from here: %s", ca, cause)
		}
		return "it did not work: " + cause
	}
	quote := fmt.Sprintf(" (%q)", said.detail)
	switch said.kind {
	case "connection":
		return fmt.Sprintf("%s could not reach %s%s%s", ca, where, k.addresses(host, said), quote)
	case "unauthorized", "incorrectResponse":
		switch {
		case p.bindingFault(said, err):
			return fmt.Sprintf("%s does not know the account of eab: compare key_id and hmac with what it has given out%s", ca, quote)
		case said.challenge == "" && strings.Contains(said.detail, "deactivated"):
			return fmt.Sprintf("the account at %s was closed: remove it below %s, and a new one is opened%s", ca, k.accounts(p), quote)
		case said.challenge == "":
			return fmt.Sprintf("%s has not accepted the request%s", ca, quote)
		}
		return fmt.Sprintf("%s asked %s and did not get the right answer%s%s", ca, where, k.addresses(host, said), quote)
	case "tls":
		return fmt.Sprintf("%s met an error in TLS at %s%s%s", ca, where, k.addresses(host, said), quote)
	case "dns":
		return fmt.Sprintf("%s did not find %s in the DNS%s%s", ca, where, k.addresses(host, said), quote)
	case "caa":
		return fmt.Sprintf("a CAA record of %s does not let %s issue%s", host, ca, quote)
	case "rateLimited":
		return fmt.Sprintf("%s has been asked too often%s", ca, quote)
	case "rejectedIdentifier", "unsupportedIdentifier":
		return fmt.Sprintf("%s does not issue for %s%s", ca, host, quote)
	case "externalAccountRequired":
		return fmt.Sprintf("%s asks for an account of its own: write eab { key_id = … hmac = … }%s", ca, quote)
	case "userActionRequired":
		return fmt.Sprintf("%s wants its terms agreed to anew%s", ca, quote)
	case "invalidContact", "unsupportedContact":
		return fmt.Sprintf("%s does not take the address email = %q%s", ca, p.c.Email, quote)
	case "invalidProfile":
		return fmt.Sprintf("%s has no profile %q%s", ca, p.c.Profile, quote)
	}
	if p.bindingFault(said, err) {
		return fmt.Sprintf("%s does not know the account of eab: compare key_id and hmac with what it has given out%s", ca, quote)
	}
	return fmt.Sprintf("%s has refused%s", ca, quote)
}

// ownership says what to do about files that somebody else owns, as after a start as root: "" for other errors.
func ownership(dir string, err error) string {
	if !errors.Is(err, fs.ErrPermission) {
		return ""
	}
	return fmt.Sprintf(": let it belong to whom gatehouse runs as (chown -R %d:%d %s)", os.Getuid(), os.Getgid(), dir)
}

// errStorage marks what is wrong with the storage.
var errStorage = errors.New("storage")

// root cuts what libraries write in front of the cause.
func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		if _, ok := err.(*net.OpError); ok { // names the address: keep it
			return err
		}
		err = next
	}
}

// addresses says where a name leads and what this machine's addresses are, if one is not among the other: ": example.com resolves to
// 203.0.113.9, this machine is 203.0.113.10". "" if nothing can be said.
func (k *Keeper) addresses(host string, said problem) string {
	if said.challenge == "dns-01" || strings.HasPrefix(host, "*.") {
		return ""
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(k.ctx, k.pace.explain)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(list) == 0 {
		return ": " + host + " does not resolve here either"
	}
	return meets(host, list, ownAddresses())
}

// meets is addresses, with both known.
func meets(host string, leads, own []netip.Addr) string {
	var there, here []string
	private := true
	for _, a := range leads {
		a = a.Unmap()
		if slices.Contains(own, a) || a.IsLoopback() {
			return ""
		}
		there = append(there, a.String())
	}
	for _, a := range own {
		here = append(here, a.String())
		private = private && (a.IsPrivate() || a.IsLinkLocalUnicast())
	}
	slices.Sort(there)
	s := fmt.Sprintf(": %s resolves to %s", host, strings.Join(slices.Compact(there), ", "))
	switch {
	case len(own) == 0:
		return s
	case private:
		return s + fmt.Sprintf(", this machine has private addresses only (%s): are the ports forwarded to it?", strings.Join(here, ", "))
	}
	return s + ", this machine is " + strings.Join(here, ", ")
}

// ownAddresses returns the addresses of this machine by which others may know it.
func ownAddresses() (list []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
				list = append(list, ip.Unmap())
			}
		}
	}
	return list
}

// afterText is how Let's Encrypt writes when to come again.
var afterText = regexp.MustCompile(`retry after (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)`)

// retryAfter finds the time before which a CA does not want to be asked again.
func retryAfter(detail string) (time.Time, bool) {
	m := afterText.FindStringSubmatch(detail)
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.Parse("2006-01-02 15:04:05 MST", m[1])
	return t, err == nil
}
