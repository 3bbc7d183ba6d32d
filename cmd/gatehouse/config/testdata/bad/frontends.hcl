# Addresses, hosts and routes.
tls "site" { internal = true }

frontend "none" {
  backend = backend.farm
}

frontend "hosts" {
  hosts   = ["example.com"]
  backend = backend.farm
}

frontend "idle" {
  bind ":1080" {}
}

frontend "a" {
  bind ":80" {}
  bind ":80" {}
  bind "192.168.1.1:80" {}
  bind ":443" {}
  backend = backend.farm
}

frontend "b" {
  bind ":8080" {}
  hosts   = ["a.example.com", "b.example.com", "a.example.com."]
  backend = backend.farm
}

frontend "c" {
  bind ":8080" {}
  hosts   = ["B.example.com", "http://example.com/", "x.*.com", "example.com:80"]
  backend = backend.farm
}

frontend "d" {
  bind ":8080" { tls = tls.site }
  bind "192.168.1.2" {}
  bind ":8443" {
    tls      = tls.site
    redirect = "https"
  }
  bind ":8081" { redirect = "http://example.com" }
  hosts   = ["d.example.com"]
  backend = backend.farm
  limits {
    target = "0"
    field  = "64KiB"
    fields = -1
  }
  monitor {}
  route {}
  route {
    paths    = ["api", "/x/*/y", "/a?b", "/ok/*"]
    backend  = backend.farm
    redirect = "https://example.com/"
  }
  route {
    paths   = ["/ok/well"]
    respond = 99
  }
  route {
    hosts    = ["elsewhere.example.com"]
    redirect = "https://{name}/"
  }
  route {
    redirect = "ftp://example.com"
  }
  route {
    respond = 403
  }
}

backend "farm" {
  server "a" "10.0.0.1:80" {}
}
