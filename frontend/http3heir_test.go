package frontend

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"gatehouse/backend/h1"
)

// TestHTTP3Succession: three listeners, one after the other, have one address, as processes have that take over from each other. What is under
// way with the first and the second goes on, newcomers find the third, and when that has no use for the address any more its elders read the
// socket themselves.
func TestHTTP3Succession(t *testing.T) {
	goOn := make(chan struct{})
	asked := make(chan struct{}, 2)
	slow := func(name string) h1.RoundTripFunc {
		return func(x *h1.Exchange) error {
			if string(x.Req.Target) == "/slow" {
				asked <- struct{}{}
				x.Loop.Block(func() { <-goOn })
			}
			return says(name)(x)
		}
	}
	first := onScene(t, &Config{Name: "www"}, slow("first"))
	heir := func(of *scene, name string) *scene {
		t.Helper()
		s := onScene(t, &Config{Name: "www"}, slow(name))
		// The scene's own address is of no use: it gets that of the one before, over UDP.
		loan, err := of.n.LendPackets()
		if err != nil {
			t.Fatal(err)
		}
		defer loan.Close()
		c := s.cfg
		c.Packets = Packets{Elders: map[string]int{}, Wait: true}
		if c.Packets.Socket, err = syscall.Dup(int(loan.Socket.Fd())); err != nil {
			t.Fatal(err)
		}
		for name, f := range loan.Elders {
			if c.Packets.Elders[name], err = syscall.Dup(int(f.Fd())); err != nil {
				t.Fatal(err)
			}
		}
		old := s.n.quic.Swap(nil)
		old.abort()
		s.n.former = append(s.n.former, old)
		if err := s.n.Prepare(&c); err != nil {
			t.Fatal(err)
		}
		s.n.TakeOver(c)
		if s.n.quic.Load() != nil {
			t.Error("the heir reads before its elder has yielded")
		}
		loan.Yield()
		s.n.Receive()
		of.n.Leave()
		return s
	}
	type result struct {
		body string
		err  error
	}
	over := make(chan result, 2)
	get := func(s *scene, c *http.Client, path string) {
		body, err := answer(c.Get("https://" + first.n.Addr().String() + path))
		over <- result{body, err}
	}
	go get(first, first.client(), "/slow")
	<-asked
	second := heir(first, "second")
	if got, err := answer(first.client().Get(first.url("/"))); got != "second" || err != nil {
		t.Fatalf("a newcomer: %q, %v", got, err)
	}
	go get(second, second.client(), "/slow")
	<-asked
	third := heir(second, "third")
	if n := len(*third.n.quic.Load().sock.elders.Load()); n != 2 {
		t.Errorf("%d elders", n)
	}
	if got, err := answer(first.client().Get(first.url("/"))); got != "third" || err != nil {
		t.Fatalf("a newcomer: %q, %v", got, err)
	}
	third.close()
	close(goOn)
	var got []string
	for range 2 {
		r := <-over
		if r.err != nil {
			t.Error(r.err)
		}
		got = append(got, r.body)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("what was under way is answered by %q", got)
	}
	second.close()
	first.close()
}

// TestLoansDoNotBlock: whoever is lent the socket may take the number of its descriptor, as one has to who hands it on, and whoever reads it is
// still woken by a deadline.
func TestLoansDoNotBlock(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("ok"))
	loan, err := s.n.LendPackets()
	if err != nil {
		t.Fatal(err)
	}
	defer loan.Close()
	files := []*os.File{loan.Socket}
	for _, f := range loan.Elders {
		files = append(files, f)
	}
	for _, f := range files {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
		if errno != 0 || flags&syscall.O_NONBLOCK == 0 {
			t.Errorf("%s: flags %#x, %v", f.Name(), flags, errno)
		}
	}
}

// TestQUICSocketSorts: of what arrives together, the elders' goes to them and the rest stays in order; one that has ended is forgotten.
func TestQUICSocketSorts(t *testing.T) {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	s := newQUICSocket(udp)
	defer s.Close()
	theirs, ours, err := relayPair()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	tag := newTag()
	e, err := newElder(tag.String(), fd)
	if err != nil {
		t.Fatal(err)
	}
	s.adopt([]*elder{e})
	packet := func(tag connTag, n byte) []byte {
		id, err := tag.GenerateConnectionID()
		if err != nil {
			t.Fatal(err)
		}
		return append(append([]byte{0x40}, id.Bytes()...), n)
	}
	fill := func() (ms []ipv4.Message) {
		for i, tag := range []connTag{tag, s.tag, newTag(), tag, s.tag} {
			m := message()
			m.Addr = udp.LocalAddr()
			m.N = copy(m.Buffers[0], packet(tag, byte(i)))
			ms = append(ms, m)
		}
		return ms
	}
	left := func(ms []ipv4.Message) (list []byte) {
		for _, m := range ms {
			list = append(list, m.Buffers[0][m.N-1])
		}
		return list
	}
	ms := fill()
	if got := left(ms[:s.sort(ms, *s.elders.Load())]); string(got) != "\x01\x02\x04" {
		t.Errorf("what is left is %v", got)
	}
	ours.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, relayMost)
	for _, want := range []byte{0, 3} {
		m := message()
		n, err := ours.Read(b)
		if err != nil || !readRelayed(b[:n], &m) || m.Buffers[0][m.N-1] != want || m.Addr.String() != udp.LocalAddr().String() {
			t.Errorf("the elder gets %+v, %v", m, err)
		}
	}
	ours.Close()
	ms = fill()
	if got := left(ms[:s.sort(ms, *s.elders.Load())]); string(got) != "\x01\x02\x04" || s.elders.Load() != nil {
		t.Errorf("without the elder, what is left is %v", got)
	}
}
