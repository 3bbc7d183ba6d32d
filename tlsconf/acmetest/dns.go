package acmetest

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The zone the name server takes updates of (RFC 2136), and the key they must be signed with (RFC 8945).
const (
	Zone      = "test."
	KeyName   = "acme.test."
	KeySecret = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
)

// DNS is a name server for all names, each of which leads to one address of this machine.
type DNS struct {
	Addr string // where it listens, TCP and UDP

	at net.IP // where all names lead

	mu      sync.Mutex
	txt     map[string][]string
	updates int
}

// NewDNS starts a name server by which all names lead to an IPv4 address; "" is 127.0.0.1. It ends with the test.
func NewDNS(t testing.TB, address string) *DNS {
	t.Helper()
	d := &DNS{txt: map[string][]string{}, at: net.ParseIP(cmp.Or(address, "127.0.0.1"))}
	var tcp net.Listener
	var udp net.PacketConn
	for try := 0; ; try++ { // until the kernel has one port for both
		var err error
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			break
		}
		tcp.Close()
		if try > 20 {
			t.Fatal(err)
		}
	}
	d.Addr = tcp.Addr().String()
	for _, s := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}} {
		s.Handler = dns.HandlerFunc(d.serve)
		s.TsigSecret = map[string]string{KeyName: KeySecret}
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates too
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.ActivateAndServe()
		}()
		<-up
		t.Cleanup(func() {
			s.Shutdown()
			<-ended
		})
	}
	return d
}

// SetTXT gives a name, with its dot at the end, a TXT record.
func (d *DNS) SetTXT(name, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.txt[strings.ToLower(name)] = append(d.txt[strings.ToLower(name)], value)
}

// RemoveTXT takes it away again.
func (d *DNS) RemoveTXT(name, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = strings.ToLower(name)
	d.txt[name] = slices.DeleteFunc(d.txt[name], func(v string) bool { return v == value })
}

// Updates returns how many signed updates were done, and how many records are left.
func (d *DNS) Updates() (done, left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.txt {
		left += len(v)
	}
	return d.updates, left
}

func (d *DNS) serve(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg)
	a.SetReply(q)
	a.Authoritative = true
	switch {
	case len(q.Question) != 1:
		a.Rcode = dns.RcodeFormatError
	case q.Opcode == dns.OpcodeUpdate:
		a.Rcode = d.update(w, q)
		if tsig := q.IsTsig(); tsig != nil && w.TsigStatus() == nil {
			a.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, time.Now().Unix())
		}
	default:
		d.answer(a, q.Question[0])
	}
	w.WriteMsg(a)
}

func (d *DNS) answer(a *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET}
	switch q.Qtype {
	case dns.TypeA:
		a.Answer = append(a.Answer, &dns.A{Hdr: head, A: d.at})
	case dns.TypeTXT:
		d.mu.Lock()
		for _, v := range d.txt[name] {
			a.Answer = append(a.Answer, &dns.TXT{Hdr: head, Txt: []string{v}})
		}
		d.mu.Unlock()
	case dns.TypeSOA:
		if name == Zone {
			a.Answer = append(a.Answer, &dns.SOA{Hdr: head, Ns: "ns." + Zone, Mbox: "root." + Zone, Minttl: 1})
		}
	case dns.TypeNS:
		if name == Zone {
			a.Answer = append(a.Answer, &dns.NS{Hdr: head, Ns: "ns." + Zone})
		}
	}
}

// update does what a signed update asks for.
func (d *DNS) update(w dns.ResponseWriter, q *dns.Msg) int {
	switch {
	case q.IsTsig() == nil || w.TsigStatus() != nil:
		return dns.RcodeNotAuth
	case q.Question[0].Name != Zone:
		return dns.RcodeNotZone
	}
	for _, rr := range q.Ns {
		t, ok := rr.(*dns.TXT)
		if !ok {
			return dns.RcodeRefused
		}
		if rr.Header().Class == dns.ClassNONE {
			d.RemoveTXT(t.Hdr.Name, strings.Join(t.Txt, ""))
		} else {
			d.SetTXT(t.Hdr.Name, strings.Join(t.Txt, ""))
		}
	}
	d.mu.Lock()
	d.updates++
	d.mu.Unlock()
	return dns.RcodeSuccess
}
