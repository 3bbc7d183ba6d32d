package house

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"
)

// http3KeyFile is the name of the file in the state directory with the key by which clients of HTTP/3 learn that a connection is no more.
const http3KeyFile = "http3.key"

// http3Key is that key. Where it cannot be kept, clients notice by the silence that a process has ended without a word.
type http3Key struct{ keptKey }

// of returns the key for a configuration, nil when nothing in it needs one.
func (k *http3Key) of(f *config.File, log *zap.Logger) []byte {
	if !slices.ContainsFunc(f.Frontends, func(c *frontend.Config) bool {
		return slices.ContainsFunc(c.Binds, func(b *frontend.Bind) bool { return b.HTTP3 })
	}) {
		return nil
	}
	key, err := k.in(f.Global.StateDir, http3KeyFile)
	if err != nil {
		log.Info("the key of http3 is not kept", zap.String("state_dir", f.Global.StateDir), zap.Error(err))
	}
	return key
}

// tellBuffers says, once, that the kernel keeps too little for HTTP/3 at an address.
func (h *House) tellBuffers(address loop.Addr, in, out int) {
	if least := min(in, out); least == 0 || least >= loop.UDPBuffer {
		return
	}
	h.smallBuffers.Do(func() {
		h.o.Log.Warn("the kernel's buffers for udp are small: under load HTTP/3 loses packets and slows down", zap.Stringer("address", address),
			zap.Int("receive", in), zap.Int("send", out), zap.Int("wanted", loop.UDPBuffer),
			zap.String("remedy", fmt.Sprintf("sysctl -w net.core.rmem_max=%d net.core.wmem_max=%[1]d, and the same in /etc/sysctl.d", loop.UDPBuffer)))
	})
}
