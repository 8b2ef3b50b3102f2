"""The setup server: setup commands of SolarNode clients."""
