"""Every way to install the server that the README names, tried in folders of its own."""
