package tlsconf

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/libdns/libdns"
	"github.com/miekg/dns"
)

// tsigAlgorithms are the ways to sign updates (RFC 8945 section 6). Those by MD5 and SHA-1 are of the past.
var tsigAlgorithms = map[string]string{
	"hmac-sha224": dns.HmacSHA224, "hmac-sha256": dns.HmacSHA256, "hmac-sha384": dns.HmacSHA384, "hmac-sha512": dns.HmacSHA512,
}

const (
	updateTime = 15 * time.Second
	tsigFudge  = 300 // seconds that the clocks of both may differ, as RFC 8945 section 10 recommends
)

// rfc2136 changes records by signed updates to the name server of the zone (RFC 2136).
type rfc2136 struct{ d *DNS }

// AppendRecords is libdns.RecordAppender's.
func (p *rfc2136) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, p.update(ctx, zone, records, (*dns.Msg).Insert)
}

// DeleteRecords is libdns.RecordDeleter's.
func (p *rfc2136) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, p.update(ctx, zone, records, (*dns.Msg).Remove)
}

// update sends one update for all the records.
func (p *rfc2136) update(ctx context.Context, zone string, records []libdns.Record, change func(*dns.Msg, []dns.RR)) error {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(zone))
	var list []dns.RR
	for _, r := range records {
		rr := r.RR()
		if rr.Type != "TXT" {
			return fmt.Errorf("a record of type %s", rr.Type)
		}
		list = append(list, &dns.TXT{
			Hdr: dns.RR_Header{Name: dns.Fqdn(libdns.AbsoluteName(rr.Name, zone)), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(rr.TTL.Seconds())},
			Txt: []string{rr.Data},
		})
	}
	change(m, list)
	key := dns.Fqdn(strings.ToLower(p.d.KeyName))
	m.SetTsig(key, tsigAlgorithms[p.d.algorithm()], tsigFudge, time.Now().Unix())
	server, err := nameServer(p.d.Server)
	if err != nil {
		return err
	}
	c := &dns.Client{Net: "tcp", Timeout: updateTime, TsigSecret: map[string]string{key: strings.TrimSpace(p.d.KeySecret)}}
	a, _, err := c.ExchangeContext(ctx, m, server)
	switch {
	case a != nil && a.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("name server %s refuses the update of %s: %s%s", server, zone, dns.RcodeToString[a.Rcode], rcodeHint(a.Rcode))
	case err != nil:
		return fmt.Errorf("update of %s at name server %s: %w", zone, server, err)
	}
	return nil
}

// rcodeHint says what the usual refusals mean.
func rcodeHint(code int) string {
	switch code {
	case dns.RcodeNotAuth, dns.RcodeBadSig, dns.RcodeBadKey:
		return " (it does not know the key, or the zone is not its own)"
	case dns.RcodeBadTime:
		return " (the clocks differ by more than five minutes)"
	case dns.RcodeRefused:
		return " (the key may not change this record)"
	case dns.RcodeNotZone:
		return " (the record is in another zone)"
	}
	return ""
}
