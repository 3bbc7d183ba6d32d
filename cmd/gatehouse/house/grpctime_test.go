package house_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

// inBubble tells a story of calls in a bubble, where waiting takes no time: by a client of a house in memory, before the service.
func inBubble(t *testing.T, front, back string, story func(t *testing.T, cc *grpc.ClientConn, e *echoer)) {
	text := `
global { state_dir = "DIR" }
frontend "www" {
  bind "127.0.0.1:1" { protocols = ["h2"] }
  backend = backend.app
  ` + front + `
}
backend "app" {
  ` + back + `
  server "A" "127.0.0.1:2" { protocol = "h2" }
}
`
	dir := t.TempDir()
	name := filepath.Join(dir, "gatehouse.hcl")
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	at, peer := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.9:9")
	synctest.Test(t, func(t *testing.T) {
		file, diags := config.Load([]string{name}, config.Options{})
		if diags.HasErrors() {
			var out strings.Builder
			diags.Print(&out)
			t.Fatal(out.String())
		}
		e := &echoer{ended: make(chan error, 1)}
		server := bufconn.Listen(64 << 10)
		defer e.serve(server)()
		l := loop.NewMem(0)
		defer l.Stop()
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		var accept func(loop.Socket)
		h, err := house.New(file, house.Options{Loops: []*loop.Loop{l}, Log: zap.NewNop(), AccessLog: io.Discard,
			Listen: func(_ *loop.Loop, _ loop.Addr, f func(loop.Socket)) (io.Closer, error) {
				accept = f
				return io.NopCloser(nil), nil
			},
			Dial: func(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
				nc, err := server.Dial()
				if err != nil {
					return nil, err
				}
				return l.Adopt(loop.SocketOf(nc, peer, d.To.AddrPort))
			}})
		if err == nil {
			err = h.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		cc, err := grpc.NewClient("passthrough:///a.test", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			l.Post(func() { accept(loop.SocketOf(theirs, at, peer)) })
			return ours, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		story(t, cc, e)
		cc.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestGRPCSilence: a conversation may pause for longer than the timeouts of requests and answers, but no longer than timeouts.tunnel.
func TestGRPCSilence(t *testing.T) {
	inBubble(t, `timeouts { client = "20s" }`, "timeouts {\n server = \"30s\"\n tunnel = \"1h\"\n }", func(t *testing.T, cc *grpc.ClientConn, e *echoer) {
		s, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, stream)
		if err != nil {
			t.Fatal(err)
		}
		out := &words{}
		for range 3 {
			if err := s.SendMsg(wordsOf("x")); err != nil {
				t.Fatal(err)
			}
			if err := s.RecvMsg(out); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Minute)
		}
		s.CloseSend()
		if err := s.RecvMsg(out); err != io.EOF {
			t.Error(err)
		}
		if s, err = cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, stream); err != nil {
			t.Fatal(err)
		}
		s.SendMsg(wordsOf("x"))
		if err := s.RecvMsg(out); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = s.RecvMsg(out)
		if d := time.Since(began); err == nil || err == io.EOF || d < time.Hour || d > time.Hour+10*time.Minute {
			t.Errorf("after a silence of %v: %v", d, err)
		}
		if err := <-e.ended; err == nil {
			t.Error("the server is not told")
		}
	})
}

// TestGRPCOneSidedConversation: as long as one side speaks, the other one may be silent for longer than timeouts.tunnel, and is heard afterwards.
func TestGRPCOneSidedConversation(t *testing.T) {
	inBubble(t, "", "", func(t *testing.T, cc *grpc.ClientConn, e *echoer) {
		s, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, tick)
		if err != nil {
			t.Fatal(err)
		}
		out := &words{}
		for range 30 {
			if err := s.RecvMsg(out); err != nil || string(out.Value) != "tick" {
				t.Fatalf("%q, %v", out.Value, err)
			}
		}
		s.SendMsg(wordsOf("now"))
		if err := s.RecvMsg(out); err != nil || string(out.Value) != "nownow" {
			t.Errorf("%q, %v", out.Value, err)
		}
		if s, err = cc.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, collect); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if err := s.SendMsg(wordsOf("tick")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		s.CloseSend()
		if err := s.RecvMsg(out); err != nil || len(out.Value) != 120 {
			t.Errorf("%q, %v", out.Value, err)
		}
	})
}

// TestGRPCPatience: a call waits for its answer as long as timeouts.server says, and no longer than its own deadline, which the server knows.
func TestGRPCPatience(t *testing.T) {
	inBubble(t, "", `timeouts { server = "30s" }`, func(t *testing.T, cc *grpc.ClientConn, e *echoer) {
		for _, c := range []struct {
			deadline, want time.Duration // none: 0
			code           codes.Code
			ended          error
		}{
			{0, 30 * time.Second, codes.Unavailable, context.Canceled},
			{time.Hour, 30 * time.Second, codes.Unavailable, context.Canceled},
			{7 * time.Second, 7 * time.Second, codes.DeadlineExceeded, context.DeadlineExceeded},
		} {
			ctx, cancel := t.Context(), func() {}
			if c.deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
			}
			began := time.Now()
			err := cc.Invoke(ctx, unary, wordsOf("hang"), &words{})
			if d := time.Since(began); status.Code(err) != c.code || d < c.want || d > c.want+time.Second {
				t.Errorf("with a deadline of %v: %v after %v, want %v after %v", c.deadline, err, d, c.code, c.want)
			}
			if err := <-e.ended; !errors.Is(err, c.ended) && !errors.Is(err, context.Canceled) {
				t.Errorf("with a deadline of %v the server's call ended by %v", c.deadline, err)
			}
			cancel()
		}
		// A deadline is the server's too, to the millisecond or so: it is passed on as it came.
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		out := &words{}
		if err := cc.Invoke(ctx, unary, wordsOf("deadline"), out); err != nil {
			t.Fatal(err)
		}
		if d, err := time.ParseDuration(string(out.Value)); err != nil || d < 89*time.Second || d > 90*time.Second {
			t.Errorf("the server has %s", out.Value)
		}
	})
}
