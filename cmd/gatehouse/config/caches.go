package config

import (
	"fmt"

	"gatehouse/backend"
)

// caches refuses a cache that would remember the very cookies by which a backend knows who belongs to which server.
func (d *decoder) caches() {
	for _, c := range d.file.Caches {
		if !c.UnsafeStoreSetCookie {
			continue
		}
		for _, b := range d.file.Backends {
			if b.Cookie == nil || b.Cookie.Mode == backend.Insert || !d.isCached(b.Name, c.Name) {
				continue // a cookie that we insert never comes near the store
			}
			d.file.Bad(&c.UnsafeStoreSetCookie, fmt.Sprintf("unsafe_store_set_cookie before backend %q, whose servers set the persistence cookie", b.Name),
				fmt.Sprintf("One client's cookie %s would be given to all. Leave the attribute out, or give the backend a cookie of mode = %q.", b.Cookie.Name, backend.Insert))
		}
	}
}

// isCached reports whether that cache stands before that backend.
func (d *decoder) isCached(backend, cache string) bool {
	for _, f := range d.file.Frontends {
		if f.Cache != cache {
			continue
		}
		if f.Backend == backend {
			return true
		}
		for _, r := range f.Routes {
			if r.Cache && r.Backend == backend {
				return true
			}
		}
	}
	return false
}
