package house

import (
	"errors"
	"fmt"
	"syscall"

	"gatehouse/cmd/gatehouse/config"
)

// fault is what keeps a configuration from serving though there is nothing wrong with it as such: an address that is taken, a file that
// cannot be opened.
type fault struct {
	field           any // in the configuration, whose fault it is
	problem, remedy string
}

// faults are all there are, so that an operator need not try again for each.
type faults []fault

func (fs *faults) add(field any, err error, remedy string) {
	*fs = append(*fs, fault{field, err.Error(), remedy})
}

// in returns the faults as one error that names the places in f, and below each what to do.
func (fs faults) in(f *config.File) error {
	var errs []error
	for _, x := range fs {
		text := x.problem
		if r := f.Range(x.field); r.Filename != "" {
			text = fmt.Sprintf("%s:%d: %s", r.Filename, r.Start.Line, text)
		}
		if x.remedy != "" {
			text += "\n  " + x.remedy
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// addressRemedy says what to do about an address that cannot be opened.
func addressRemedy(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return `Another program has the address: "ss -ltnp" shows which. End it, or use another address.`
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return `This machine does not have the address: "ip address" shows which it has.`
	case errors.Is(err, syscall.EACCES):
		return "Ports below 1024 are for root, and for programs with the capability CAP_NET_BIND_SERVICE. With global.user a new one needs a restart, " +
			"or a service manager that starts gatehouse as that user with the capability (AmbientCapabilities=CAP_NET_BIND_SERVICE)."
	}
	return "Use another address."
}
