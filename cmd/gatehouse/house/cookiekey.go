package house

import (
	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/config"
)

// cookieKeyFile is the name of the file in the state directory with the key of signed cookies.
const cookieKeyFile = "cookie.key"

// cookieKey is the key of signed cookies that have no secret of their own: one for the whole house, kept in the state directory, so that
// clients find their servers again after a restart. The turn guards it.
type cookieKey struct{ keptKey }

// of returns the key for a configuration, made on first use; nil when no cookie needs it. Where it cannot be kept, it lasts as long as the
// process: that is no reason not to serve.
func (k *cookieKey) of(f *config.File, log *zap.Logger) []byte {
	if !signs(f.Backends) {
		return nil
	}
	key, err := k.in(f.Global.StateDir, cookieKeyFile)
	if err != nil {
		log.Warn("the key of signed cookies is not kept: after a restart clients lose their servers. Correct state_dir, or give the cookie a secret",
			zap.String("state_dir", f.Global.StateDir), zap.Error(err))
	}
	return key
}

func signs(list []*backend.Config) bool {
	for _, c := range list {
		if c.Cookie != nil && c.Cookie.Signed && c.Cookie.Secret == "" {
			return true
		}
	}
	return false
}
