"""Ground floor: frozen nouns that every room shares. No I/O, and nothing imported from the floors above."""
