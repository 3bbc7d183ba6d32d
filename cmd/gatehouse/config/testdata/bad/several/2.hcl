global {
  max_connections = 2000
}

locals { x = 1 }
locals { x = 2 }

backend "farm" {
  server "a" "10.0.0.1:80" {}
}

frontend "shop" {
  bind ":81" {}
  backend = backend.farm
}
