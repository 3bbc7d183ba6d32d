frontend "www" {
  bind ":80" {}
  backend  = backend.farm
  max_conn = 10
  weight   = 3
  limits   = { target = "1KiB" }
  bindd ":81" {}
  log "access" {}
}

frontent "x" {}

color = "blue"

backend "farm" {
  maxconn    = 10
  contimeout = 5000
  cookie {
    mode = "insert"
  }
  server "a" "10.0.0.1:80" "b" {}
  server "b" "10.0.0.1:80" {
    address = "10.0.0.2:80"
  }
  server "c" {}
  dynamic "sever" {
    for_each = []
    content {}
  }
  dynamic "server" {
    for_each = []
    labels   = ["x"]
    content {
      address = "10.0.0.3:80"
      wait    = 1
    }
  }
}

backend "" {
  server "" "10.0.0.1:80" {}
}
