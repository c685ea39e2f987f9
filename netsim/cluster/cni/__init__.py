"""CNI plugins as typed values, and the node network a chain of them yields."""
