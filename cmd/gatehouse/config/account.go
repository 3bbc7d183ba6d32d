package config

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
)

// Account is who global.user and global.group mean on this machine.
type Account struct {
	Name     string // of the user, or its number
	UID, GID int
	Groups   []int // further ones
}

// accountFault is what is wrong with one of the two.
type accountFault struct {
	field           any
	problem, remedy string
	absent          bool // another machine may well have it
}

func (f *accountFault) Error() string { return f.problem + "\n" + f.remedy }

// Account looks up user and group, nil without a user.
func (g *Global) Account() (*Account, error) {
	if g.User == "" {
		return nil, nil
	}
	a := &Account{Name: g.User, GID: -1}
	u, err := user.Lookup(g.User)
	if err != nil {
		if u, err = user.LookupId(g.User); err != nil {
			u = nil
		}
	}
	switch n, err := strconv.ParseUint(g.User, 10, 31); {
	case u != nil:
		a.Name = u.Username
		if a.UID, a.GID, err = numbers(u.Uid, u.Gid); err != nil {
			return nil, &accountFault{&g.User, fmt.Sprintf("user %q: %v", g.User, err), "Name a user of this machine.", false}
		}
		// A user whose further groups cannot be found out has none: that is less than it might do, never more.
		if ids, err := u.GroupIds(); err == nil {
			for _, id := range ids {
				if n, err := strconv.Atoi(id); err == nil && n != a.GID {
					a.Groups = append(a.Groups, n)
				}
			}
		}
	case err == nil:
		a.UID = int(n) // a number nobody has given a name, as in containers
		if g.Group == "" {
			return nil, &accountFault{&g.User, fmt.Sprintf("no user of this machine has the number %s, so nobody knows its group", g.User), `Write the group too, such as group = "` + g.User + `".`, true}
		}
	default:
		return nil, &accountFault{&g.User, fmt.Sprintf("there is no user %q on this machine", g.User),
			fmt.Sprintf("Make one: useradd --system --no-create-home --shell /usr/sbin/nologin %s", g.User), true}
	}
	if a.UID == 0 {
		return nil, &accountFault{&g.User, fmt.Sprintf("user %q is root", g.User), "Leave it out to stay root, or name a user with fewer rights.", false}
	}
	if g.Group != "" {
		if a.GID, err = groupOf(g.Group); err != nil {
			return nil, &accountFault{&g.Group, err.Error(), "Make one, as in groupadd --system " + g.Group + ", or leave group out for the user's own.", true}
		}
	}
	slices.Sort(a.Groups)
	return a, nil
}

func numbers(uid, gid string) (int, int, error) {
	u, err := strconv.Atoi(uid)
	g, err2 := strconv.Atoi(gid)
	return u, g, errors.Join(err, err2)
}

// groupOf returns the number of a group.
func groupOf(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	return 0, fmt.Errorf("there is no group %q on this machine", name)
}

// verifyAccount reports what is wrong with user and group. Not to have them is only a warning here: a configuration is often checked on
// another machine than the one it is for. Without them nothing is run.
func (f *File) verifyAccount() {
	_, err := f.Global.Account()
	fault, ok := errors.AsType[*accountFault](err)
	switch {
	case !ok:
	case fault.absent:
		f.Warn(fault.field, fault.problem+", and gatehouse does not run without", fault.remedy)
	default:
		f.Bad(fault.field, fault.problem, fault.remedy)
	}
}
