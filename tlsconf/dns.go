package tlsconf

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"go.uber.org/zap"
)

// recordTTL is how long others may remember the record of a challenge.
const recordTTL = 60 * time.Second

// solver answers challenges by DNS-01.
func (d *DNS) solver(log *zap.Logger) acmez.Solver {
	s := &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
		DNSProvider: &rfc2136{d}, TTL: recordTTL, Logger: log, OverrideDomain: strings.TrimSuffix(d.Delegate, "."),
		PropagationTimeout: d.Propagation,
	}}
	if d.Kind == Exec {
		s.DNSProvider = &hook{d}
	}
	if d.Propagation <= 0 {
		s.PropagationTimeout = -1
	}
	for _, r := range d.Resolvers {
		at, _ := nameServer(r) // checked before
		s.Resolvers = append(s.Resolvers, at)
	}
	return s
}

// algorithm is key_algorithm, or its default.
func (d *DNS) algorithm() string { return strings.ToLower(cmp.Or(d.KeyAlgorithm, "hmac-sha256")) }

// nameServer returns the address of a name server, with the port 53 where it has none.
func nameServer(s string) (string, error) {
	bare, bracket := strings.CutPrefix(s, "[")
	if end, ok := strings.CutSuffix(bare, "]"); ok == bracket {
		bare = end
	} else {
		bare = ""
	}
	if a, err := netip.ParseAddr(bare); err == nil && !strings.ContainsAny(a.Zone(), "[]:") {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, "53"
	}
	if a, err := netip.ParseAddr(host); err == nil && strings.ContainsAny(a.Zone(), "[]:") {
		return "", errors.New("it is no host and no address")
	} else if err != nil {
		if fault := hostFault(host); fault != "" || strings.Contains(host, "*") {
			return "", errors.New("it is no host and no address")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("its port is not between 1 and 65535")
	}
	return net.JoinHostPort(host, port), nil
}
